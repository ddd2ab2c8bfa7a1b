use std::pin::Pin;

use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value) -> Pin<Box<dyn Future<Output = Value>>> {
    Box::pin(async { request })
}
