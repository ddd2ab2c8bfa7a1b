use ppio::WebSocket;

#[ppio::websocket]
async fn chat(socket: WebSocket) -> String {
    format!("{socket:?}")
}

fn main() {}
