//! An agent that does what the first word of its prompt requests, and exports a trace of it.

use std::pin::Pin;

use futures_util::stream::{self, StreamExt as _};
use ppio::{
    ChatEvent, Error, FinishReason, InvocationRequest, InvocationResponse, Reply, RequestContext,
    Stream, json, try_stream,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tracing::Instrument as _;

type Events = Pin<Box<dyn Stream<Item = Result<Item, Error>> + Send>>;

/// An item of any kind.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Item {
    Event(ChatEvent),
    Envelope(InvocationResponse<u32>),
}

#[ppio::middleware]
async fn pass(request: ppio::Request, next: ppio::Next) -> ppio::Response {
    if request.headers().contains_key("x-log") {
        tracing::info!("in middleware");
    }
    next.run(request).await
}

#[ppio::entrypoint]
async fn agent(
    request: InvocationRequest,
    context: RequestContext,
) -> Result<Reply<String, Events>, Error> {
    let prompt = request.prompt.unwrap_or_default();
    let (command, rest) = prompt.split_once(' ').unwrap_or((&prompt, ""));
    let events: Vec<ChatEvent> = match command {
        "value" => return Ok(Reply::Value("forty-two".to_owned())),
        "headers" => {
            let mut headers = http::HeaderMap::new();
            ppio::trace::inject(&mut headers);
            return Ok(Reply::Value(text(&headers)));
        }
        "call" => {
            return Ok(Reply::Value(
                call(rest).instrument(tracing::info_span!("call")).await?,
            ));
        }
        "blocked" => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            Vec::new()
        }
        "refuse" => return Err(Error::bad_request("no such thing")),
        "fail" => return Err(Error::internal("out of order")),
        "log" => {
            tracing::info!(answer = 42, "in the agent");
            return Ok(Reply::Value("logged".to_owned()));
        }
        "envelopes" => {
            let items = [1, 2].map(|number| Item::Envelope(InvocationResponse::success(number)));
            return Ok(Reply::Stream(stream::iter(items.map(Ok)).boxed()));
        }
        "hang" => {
            let begun = stream::iter(tool("c1", "search")).map(|event| Ok(Item::Event(event)));
            return Ok(Reply::Stream(begun.chain(stream::pending()).boxed()));
        }
        "fail-later" => {
            return Ok(Reply::Stream(Box::pin(try_stream! {
                for event in tool("c1", "search") {
                    yield Item::Event(event);
                }
                Err(Error::internal("out of order"))?;
            })));
        }
        "callers-tool" => {
            let mut events = tool("c1", "open_window");
            events.push(ChatEvent::Finish {
                reason: FinishReason::ToolCalls,
            });
            events
        }
        // `chat`
        _ => {
            assert!(
                context.stream_requested(),
                "this command answers with a stream"
            );
            let mut events = vec![ChatEvent::StepStart {
                name: "plan".into(),
            }];
            events.extend(tool("c1", "weather"));
            events.push(usage(100, 20));
            events.push(ChatEvent::tool_result("c1", json!({"degrees": 20})));
            events.push(ChatEvent::StepEnd {
                name: "plan".into(),
            });
            events.extend(tool("c2", "broken"));
            events.push(ChatEvent::tool_error("c2", "no such city"));
            events.push(ChatEvent::text("It is warm."));
            events.push(usage(200, 7));
            events.push(ChatEvent::Finish {
                reason: FinishReason::Stop,
            });
            events
        }
    };
    let events = stream::iter(events).map(|event| Ok(Item::Event(event)));
    Ok(Reply::Stream(events.boxed()))
}

fn tool(id: &str, name: &str) -> Vec<ChatEvent> {
    ChatEvent::tool_call(id, name, &json!({"city": "Rome"})).into()
}

fn usage(input_tokens: u64, output_tokens: u64) -> ChatEvent {
    ChatEvent::Usage {
        input_tokens,
        output_tokens,
    }
}

fn text(headers: &http::HeaderMap) -> String {
    let lines = headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default();
        format!("{name}: {value}\r\n")
    });
    lines.collect()
}

/// Calls an agent on this machine with the headers of the current trace.
async fn call(address: &str) -> Result<String, Error> {
    let mut headers = http::HeaderMap::new();
    ppio::trace::inject(&mut headers);
    let body = r#"{"prompt":"value"}"#;
    let request = format!(
        "POST /invocations HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{}\
         content-length: {}\r\n\r\n{body}",
        text(&headers),
        body.len()
    );
    let mut answer = String::new();
    let called = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        socket.read_to_string(&mut answer).await
    };
    called
        .await
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(answer)
}

#[ppio::websocket]
async fn echo(mut socket: ppio::WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await {
        socket.send(message?).await?;
    }
    Ok(())
}
