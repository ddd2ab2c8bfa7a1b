use ppio::WebSocket;

#[ppio::websocket]
async fn chat(socket: WebSocket) {
    drop(socket);
}

#[ppio::websocket]
async fn other_chat(socket: WebSocket) {
    drop(socket);
}

fn main() {}
