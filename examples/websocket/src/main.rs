//! A chat over a WebSocket: each message is answered word by word, as a model would.

use ppio::{Error, RequestContext, Value, WebSocket, WebSocketMessage, json};

#[ppio::entrypoint]
async fn agent(request: Value) -> Value {
    json!({ "echo": request["prompt"] })
}

#[ppio::websocket]
async fn chat(mut socket: WebSocket, context: RequestContext) -> Result<(), Error> {
    let mut turns = 0;
    while let Some(message) = socket.recv().await {
        let text = match message? {
            WebSocketMessage::Text(text) => text,
            // Sends binary messages, such as audio, back to the client.
            bytes @ WebSocketMessage::Binary(_) => {
                socket.send(bytes).await?;
                continue;
            }
        };
        if text == "bye" {
            socket.close(4000, "see you").await?;
            break;
        }
        turns += 1;
        for word in text.split_inclusive(' ') {
            socket.send(json!({ "delta": word }).to_string()).await?;
        }
        let done = json!({ "done": turns, "session": context.session_id() });
        socket.send(done.to_string()).await?;
    }
    Ok(())
}
