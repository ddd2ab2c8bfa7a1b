//! How either side ends a session.

use std::sync::Arc;
use std::time::Duration;

use ppio::{
    AgentRuntimeApp, Error, OnDisconnect, RequestContext, RuntimeConfig, StartError, Value,
    WebSocket, WebSocketError,
};
use tokio::sync::mpsc;

use super::client::{Client, handshake};
use crate::support::{TestServer, config, with_timeout};

/// An agent whose function ends in the way that the client's first message selects.
fn ending(config: RuntimeConfig) -> Result<AgentRuntimeApp, StartError> {
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
        .websocket(async |mut socket: WebSocket| {
            let Some(Ok(message)) = socket.recv().await else {
                return Ok(());
            };
            socket.send("last words").await?;
            match message.as_text() {
                Some("return") => Ok(()),
                Some("fail") => Err(Error::internal("password=1")),
                Some("bad request") => Err(Error::bad_request("password=1")),
                Some("panic") => panic!("password=1"),
                Some("close") => Ok(socket.close(4001, "closed as requested").await?),
                Some("bad close") => Ok(socket.close(1006, "").await?),
                other => unreachable!("{other:?}"),
            }
        })
        .build()
}

async fn counted(server: &TestServer, status: &str) -> u64 {
    let name = format!("invocations_total{{outcome=\"{status}\"}}");
    server.metric(&name).await
}

#[tokio::test]
async fn the_close_code_depends_on_the_end_of_the_function() {
    let server = TestServer::start(ending(config())).await;
    for (message, code, reason, status) in [
        ("return", 1000, "", "success"),
        ("close", 4001, "closed as requested", "success"),
        ("fail", 1011, "internal error", "server_error"),
        ("panic", 1011, "internal error", "server_error"),
        ("bad close", 1011, "internal error", "client_error"),
        ("bad request", 1011, "internal error", "client_error"),
    ] {
        let before = counted(&server, status).await;
        let mut client = Client::open(&server).await;
        client.send(0x81, message.as_bytes()).await;
        assert_eq!(client.text().await, "last words");
        assert_eq!(
            client.closed().await,
            (code, reason.to_owned()),
            "{message}"
        );
        client.answer_close(code).await;
        server.idle().await;
        assert_eq!(counted(&server, status).await, before + 1, "{message}");
    }
    server.assert_alive().await;
}

/// Returns an agent whose function sends how its session ended, and the receiver of these texts.
fn watched(
    config: RuntimeConfig,
) -> (
    Result<AgentRuntimeApp, StartError>,
    mpsc::UnboundedReceiver<String>,
) {
    let (events, receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
        .websocket(move |mut socket: WebSocket, context: RequestContext| {
            let events = events.clone();
            async move {
                let end = loop {
                    match socket.recv().await {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => break format!("error: {error}"),
                        None => break format!("{:?}", socket.close_frame().map(|it| it.code)),
                    }
                };
                let _ = events.send(format!("{end} {}", context.is_cancelled()));
                socket.send("too late").await
            }
        })
        .build();
    (app, receiver)
}

#[tokio::test]
async fn a_client_that_disconnects_is_counted_as_cancelled() {
    let (app, mut events) = watched(config());
    let server = TestServer::start(app).await;

    let mut client = Client::open(&server).await;
    client.close(4000).await;
    let event = with_timeout("the end", events.recv()).await;
    assert!(event.expect("an event").starts_with("Some(4000)"));

    let mut client = Client::open(&server).await;
    client.connection.write([0x81, 0xfe, 0]).await;
    drop(client);
    let event = with_timeout("the end", events.recv()).await;
    let event = event.expect("an event");
    assert!(
        event.starts_with("error: the WebSocket was disconnected"),
        "{event}"
    );

    server.idle().await;
    assert_eq!(counted(&server, "server_error").await, 0);
    assert_eq!(counted(&server, "cancelled").await, 2);
}

/// Sends an event when it is dropped.
struct OnDrop(mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Returns an agent whose function never uses its socket, and the receiver of its events.
fn never_receiving(
    config: RuntimeConfig,
) -> (
    Result<AgentRuntimeApp, StartError>,
    mpsc::UnboundedReceiver<&'static str>,
) {
    let (events, receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
        .websocket(move |_socket: WebSocket, context: RequestContext| {
            let events = events.clone();
            async move {
                let _on_drop = OnDrop(events.clone());
                let _ = events.send("started");
                while !context.is_cancelled() {
                    tokio::task::yield_now().await;
                }
                let _ = events.send("cancelled");
                std::future::pending::<()>().await;
            }
        })
        .build();
    (app, receiver)
}

#[tokio::test]
async fn a_function_that_ignores_its_cancellation_is_dropped() {
    let (app, mut events) = never_receiving(config());
    let server = TestServer::start(app).await;
    let client = Client::open(&server).await;
    let mut next = async || with_timeout("an event", events.recv()).await;
    assert_eq!(next().await, Some("started"));
    drop(client);
    assert_eq!(next().await, Some("cancelled"));
    assert_eq!(next().await, Some("dropped"));
    server.idle().await;
    assert_eq!(counted(&server, "cancelled").await, 1);
}

#[tokio::test]
async fn a_function_can_clean_up_after_its_client_disconnects() {
    let (events, mut receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |request: Value| request)
        .websocket(move |_socket: WebSocket, context: RequestContext| {
            let events = events.clone();
            async move {
                let _on_drop = OnDrop(events.clone());
                while !context.is_cancelled() {
                    tokio::task::yield_now().await;
                }
                // Cleaning up takes longer than a timer that is due immediately.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = events.send("cleaned up");
            }
        })
        .build();
    let server = TestServer::start(app).await;
    drop(Client::open(&server).await);
    let event = with_timeout("an event", receiver.recv()).await;
    assert_eq!(event, Some("cleaned up"));
    server.idle().await;
}

#[tokio::test]
async fn a_function_can_continue_after_its_client_disconnects() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let (events, mut receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config().on_disconnect(OnDisconnect::Continue))
        .entrypoint(async |request: Value| request)
        .websocket(move |mut socket: WebSocket, context: RequestContext| {
            let (gate, events) = (Arc::clone(&opened), events.clone());
            async move {
                while let Some(Ok(_)) = socket.recv().await {}
                let _ = events.send(false);
                gate.acquire().await.expect("an open gate").forget();
                let _ = events.send(context.is_cancelled());
            }
        })
        .build();
    let server = TestServer::start(app).await;
    drop(Client::open(&server).await);
    assert_eq!(with_timeout("an event", receiver.recv()).await, Some(false));
    assert_eq!(server.metric("invocations_running").await, 1);
    gate.add_permits(1);
    assert_eq!(with_timeout("an event", receiver.recv()).await, Some(false));
    server.idle().await;
    assert_eq!(counted(&server, "success").await, 1);
}

#[tokio::test]
async fn the_timeout_of_the_client_ends_the_session() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |request: Value| request)
        .websocket(async |mut socket: WebSocket, context: RequestContext| {
            assert!(context.deadline().is_some());
            while let Some(message) = socket.recv().await {
                message?;
            }
            Ok::<_, WebSocketError>(())
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(handshake("ppio-timeout: 1\r\n")).await;
    let mut client = Client::accepted(connection).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, 1001);
    assert!(reason.contains("timeout"), "{reason}");
    client.answer_close(1001).await;
    server.idle().await;
}

/// The timeout also applies to a function that does not use its socket. The function is dropped
/// before the client has answered the close frame.
#[tokio::test]
async fn the_timeout_of_the_client_drops_the_function() {
    let (app, mut events) = never_receiving(config());
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(handshake("ppio-timeout: 1\r\n")).await;
    let mut client = Client::accepted(connection).await;
    let mut next = async || with_timeout("an event", events.recv()).await;
    assert_eq!(next().await, Some("started"));
    assert_eq!(next().await, Some("dropped"));
    assert_eq!(server.metric("invocations_running").await, 1);
    assert_eq!(client.closed().await.0, 1001);
    client.answer_close(1001).await;
    server.idle().await;
}
