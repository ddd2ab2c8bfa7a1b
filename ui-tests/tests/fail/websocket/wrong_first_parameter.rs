use ppio::{RequestContext, WebSocket};

#[ppio::websocket]
async fn chat(context: RequestContext, socket: WebSocket) {
    let _ = (context, socket);
}

fn main() {}
