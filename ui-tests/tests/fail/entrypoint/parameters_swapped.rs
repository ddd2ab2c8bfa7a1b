use ppio::{RequestContext, Value};

#[ppio::entrypoint]
async fn agent(_context: RequestContext, request: Value) -> Value {
    request
}
