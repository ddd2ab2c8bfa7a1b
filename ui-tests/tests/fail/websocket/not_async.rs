use ppio::WebSocket;

#[ppio::websocket]
fn chat(socket: WebSocket) {
    drop(socket);
}

fn main() {}
