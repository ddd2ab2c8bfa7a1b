use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value, _context: ppio::RequestContext, _: ...) -> Value {
    request
}
