use ppio::Value;

#[ppio::entrypoint("agent")]
async fn agent(request: Value) -> Value {
    request
}
