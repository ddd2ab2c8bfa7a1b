//! The agent on this framework that can export what it does, with one value.

use serde_json::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    ppio_benches::greet(&request)
}
