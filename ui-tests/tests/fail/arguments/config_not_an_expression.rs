use ppio::Value;

#[ppio::entrypoint(config = struct, crate = ppio)]
async fn agent(request: Value) -> Value {
    request
}
