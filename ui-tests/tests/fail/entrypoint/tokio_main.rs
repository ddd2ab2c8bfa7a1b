use ppio::Value;

#[ppio::entrypoint]
#[tokio::main]
async fn agent(request: Value) -> Value {
    request
}
