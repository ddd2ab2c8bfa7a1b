//! The agent on this framework with the feature `otel`; returns one value.

use serde_json::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    ppio_benches::greet(&request)
}
