#[ppio::entrypoint]
async fn agent(request: ppio::Value) -> ppio::Value {
    request
}

#[ppio::websocket]
async fn chat(socket: ppio::WebSocket) {
    let _ = socket.send("hi").await;
}
