//! An agent whose invocations end in every way, as the request directs: `{"do": "value"}`.

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use ppio::{ChatEvent, Error, Next, Reply, Request, Response, Value, WebSocket, json};
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    r#do: What,
    #[serde(default)]
    ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Value,
    /// Some text and the tokens of it.
    Stream,
    /// One item, then nothing.
    Endless,
    /// An error after an item.
    FailLater,
    Fail,
    NotFound,
    Unavailable,
    Panic,
    Sleep,
    /// Keeps its thread, which it should not.
    Block,
    /// The same in a stream.
    BlockLater,
}

type Items = Pin<Box<dyn Stream<Item = Result<ChatEvent, Error>> + Send>>;

fn item() -> ChatEvent {
    ChatEvent::text("once")
}

#[ppio::entrypoint]
async fn agent(order: Order) -> Result<Reply<Value, Items>, Error> {
    let pause = Duration::from_millis(order.ms);
    let items: Items = match order.r#do {
        What::Value => return Ok(Reply::Value(json!("done"))),
        What::Stream => {
            let usage = ChatEvent::Usage {
                input_tokens: 10,
                output_tokens: 5,
            };
            Box::pin(stream::iter([Ok(item()), Ok(item()), Ok(usage)]))
        }
        What::Endless => Box::pin(stream::iter([Ok(item())]).chain(stream::pending())),
        What::FailLater => {
            let failed = stream::once(async { Err(Error::internal("half way")) });
            Box::pin(stream::iter([Ok(item())]).chain(failed))
        }
        What::Fail => return Err(Error::internal("no luck")),
        What::NotFound => return Err(Error::not_found("no such city").with_type("NoSuchCity")),
        What::Unavailable => return Err(Error::unavailable("the model is busy").with_type("Busy")),
        What::Panic => panic!("on purpose"),
        What::Sleep => {
            tokio::time::sleep(pause).await;
            return Ok(Reply::Value(json!("awake")));
        }
        What::Block => {
            std::thread::sleep(pause);
            return Ok(Reply::Value(json!("awake")));
        }
        What::BlockLater => {
            let last = stream::once(async move {
                std::thread::sleep(pause);
                Ok(item())
            });
            Box::pin(stream::iter([Ok(item())]).chain(last))
        }
    };
    Ok(Reply::Stream(items))
}

/// Returns each message, blocks at `block`, and fails at `fail`.
#[ppio::websocket]
async fn chat(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await {
        let message = message?;
        match message.as_text() {
            Some("block") => std::thread::sleep(Duration::from_millis(400)),
            Some("fail") => return Err(Error::internal("as requested")),
            _ => {}
        }
        socket.send(message).await?;
    }
    Ok(())
}

/// Blocks before and after the handler, for callers that send `x-block`.
#[ppio::middleware]
async fn gate(request: Request, next: Next) -> Response {
    let blocks = request.headers().contains_key("x-block");
    let response = next.run(request).await;
    if blocks {
        std::thread::sleep(Duration::from_millis(400));
    }
    response
}
