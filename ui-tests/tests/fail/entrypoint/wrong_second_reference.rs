use ppio::Value;

#[ppio::entrypoint]
fn agent(request: Value, _session: &str) -> Value {
    request
}
