use std::rc::Rc;

use ppio::WebSocket;

#[ppio::websocket]
async fn chat(mut socket: WebSocket) {
    let count = Rc::new(0);
    let _ = socket.recv().await;
    drop(count);
}

fn main() {}
