use ppio::Value;

#[ppio::entrypoint(timeout = 60)]
async fn agent(request: Value) -> Value {
    request
}
