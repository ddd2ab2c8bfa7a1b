use ppio::WebSocket;

struct Broken;

#[ppio::websocket]
async fn chat(socket: WebSocket) -> Result<(), Broken> {
    drop(socket);
    Err(Broken)
}

fn main() {}
