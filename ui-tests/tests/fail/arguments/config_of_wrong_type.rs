use ppio::Value;

#[ppio::entrypoint(config = 8080)]
async fn agent(request: Value) -> Value {
    request
}
