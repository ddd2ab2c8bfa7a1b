use ppio::{RequestContext, Value};

#[ppio::entrypoint]
async fn agent(request: Value, _context: RequestContext, _database: String) -> Value {
    request
}
