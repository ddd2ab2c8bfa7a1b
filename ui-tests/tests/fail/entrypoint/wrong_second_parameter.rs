use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value, _session: u64) -> Value {
    request
}
