use ppio::Value;

#[ppio::entrypoint(config =)]
async fn agent(request: Value) -> Value {
    request
}
