use ppio::WebSocket;

#[ppio::websocket]
async fn chat(socket: &mut WebSocket) {
    let _ = socket.recv().await;
}

fn main() {}
