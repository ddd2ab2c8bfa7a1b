use ppio::Value;

#[ppio::entrypoint(on_disconnect = "stop")]
async fn agent(request: Value) -> Value {
    request
}
