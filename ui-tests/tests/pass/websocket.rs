//! The signatures of WebSocket functions.

use std::fmt;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use ppio::{AgentRuntimeApp, RequestContext, State, Value, WebSocket, WebSocketError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An error that implements `Display` and nothing else.
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no model")
    }
}

/// Sends a handshake to the agent in a module, and returns its greeting and the code of its close
/// frame.
async fn greeting(module: &str) -> (String, u16) {
    let app = AgentRuntimeApp::annotated_in(module)
        .unwrap_or_else(|error| panic!("no agent in {module}: {error}"));
    let service = app.start().await.expect("every startup function succeeds");
    let (mut client, server) = tokio::io::duplex(1024);
    let http = http1::Builder::new();
    let serving = http.serve_connection(TokioIo::new(server), service);
    let serving = tokio::spawn(serving.with_upgrades());
    let request = "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).await.expect("a write");
    // Sends a close frame without a code.
    client
        .write_all(&[0x88, 0x80, 0, 0, 0, 0])
        .await
        .expect("a write");
    let mut bytes = Vec::new();
    let reading = client.read_to_end(&mut bytes);
    let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
    read.expect("the end of the connection").expect("no error");
    serving.await.expect("no panic").expect("no error");
    let head = bytes.windows(4).position(|it| it == b"\r\n\r\n");
    let frames = &bytes[head.expect("a head") + 4..];
    assert_eq!(frames[0], 0x81, "{frames:?}");
    let length = usize::from(frames[1]);
    let text = String::from_utf8(frames[2..2 + length].to_vec()).expect("UTF-8");
    let close = &frames[2 + length..];
    assert_eq!(close[0], 0x88, "{close:?}");
    (
        text,
        close
            .get(2..4)
            .map_or(0, |code| u16::from_be_bytes([code[0], code[1]])),
    )
}

/// Makes an agent of each row and checks that it sends its greeting.
macro_rules! websockets {
    ($($name:ident: $function:item)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[ppio::entrypoint]
            fn agent(request: Value) -> Value {
                request
            }

            /// The greeting that a function sends.
            #[allow(dead_code, unreachable_pub)]
            pub struct Greeting(&'static str);

            #[ppio::startup]
            fn build() -> Greeting {
                Greeting("hello")
            }

            #[ppio::websocket]
            $function

            #[tokio::test]
            async fn greets() {
                let (text, _) = super::greeting(module_path!()).await;
                assert_eq!(text, "hello");
            }
        }
    )+};
}

websockets! {
    socket_alone: async fn chat(socket: WebSocket) {
        socket.send("hello").await.expect("an open socket");
    }
    mutable: async fn chat(mut socket: WebSocket) {
        socket.send("hello").await.expect("an open socket");
        while socket.recv().await.is_some() {}
    }
    context: async fn chat(socket: WebSocket, context: RequestContext) {
        assert!(!context.request_id().is_empty());
        socket.send("hello").await.expect("an open socket");
    }
    borrowed_context: async fn chat(socket: WebSocket, context: &RequestContext) {
        assert!(!context.request_id().is_empty());
        socket.send("hello").await.expect("an open socket");
    }
    states: async fn chat(
        socket: WebSocket,
        greeting: State<Greeting>,
        context: &RequestContext,
        same: &State<Greeting>,
    ) {
        assert_eq!(greeting.0.0, same.0.0);
        assert!(!context.request_id().is_empty());
        socket.send(greeting.0.0).await.expect("an open socket");
    }
    error_of_socket: async fn chat(socket: WebSocket) -> Result<(), WebSocketError> {
        socket.send("hello").await
    }
    own_error: async fn chat(socket: WebSocket) -> Result<(), ppio::Error> {
        Ok(socket.send("hello").await?)
    }
    boxed_error: async fn chat(socket: WebSocket) -> Result<(), Box<dyn std::error::Error>> {
        Ok(socket.send("hello").await?)
    }
    displayed_error: async fn chat(socket: WebSocket) -> Result<(), Broken> {
        socket.send("hello").await.map_err(|_| Broken)
    }
    anyhow_error: async fn chat(socket: WebSocket) -> anyhow::Result<()> {
        Ok(socket.send("hello").await?)
    }
    stream: async fn chat(socket: WebSocket) -> Result<(), ppio::Error> {
        use futures_util::StreamExt as _;
        socket.send("hello").await?;
        socket.for_each(async |_| {}).await;
        Ok(())
    }
}
