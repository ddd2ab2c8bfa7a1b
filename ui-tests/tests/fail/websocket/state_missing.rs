use ppio::{State, WebSocket};

struct Database;

#[ppio::websocket]
async fn chat(socket: WebSocket, database: State<Database>) {
    let _ = (socket, database);
}

fn main() {}
