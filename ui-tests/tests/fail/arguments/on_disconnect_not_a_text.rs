use ppio::Value;

#[ppio::entrypoint(on_disconnect = ppio::OnDisconnect::Continue)]
async fn agent(request: Value) -> Value {
    request
}
