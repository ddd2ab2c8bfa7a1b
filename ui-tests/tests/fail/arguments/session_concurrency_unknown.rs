use ppio::Value;

#[ppio::entrypoint(session_concurrency = "serial", on_disconnect = continue)]
async fn agent(request: Value) -> Value {
    request
}
