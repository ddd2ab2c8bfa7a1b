use ppio::{RequestContext, Value};

#[ppio::entrypoint]
async fn agent(request: Value, _context: &mut RequestContext) -> Value {
    request
}
