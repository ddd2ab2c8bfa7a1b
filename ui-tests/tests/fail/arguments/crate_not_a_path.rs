use ppio::Value;

#[ppio::entrypoint(crate = "ppio")]
async fn agent(request: Value) -> Value {
    request
}
