use ppio::Value;

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    request
}

#[ppio::entrypoint]
async fn other_agent(request: Value) -> Value {
    request
}
