use ppio::Value;

#[ppio::entrypoint(crate = nowhere)]
async fn agent(request: Value) -> Value {
    request
}
