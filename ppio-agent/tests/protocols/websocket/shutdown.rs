//! A shutdown closes every socket, and functions may run until the grace period ends.

use std::sync::Arc;
use std::time::Duration;

use ppio::{AgentRuntimeApp, RequestContext, RuntimeConfig, StartError, Value, WebSocket};
use tokio::sync::{Semaphore, mpsc};

use super::client::Client;
use super::echoing;
use crate::support::{TestServer, config, with_timeout};

#[tokio::test]
async fn every_socket_is_closed_with_1001() {
    let mut server = TestServer::start(echoing(config())).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::open(&server).await);
    }
    server.begin_shutdown();
    for client in &mut clients {
        let (code, reason) = client.closed().await;
        assert_eq!(code, 1001);
        assert_eq!(reason, "the agent is shutting down");
        client.answer_close(1001).await;
    }
    server.ended().await;
}

/// Sends an event when it is dropped.
struct OnDrop(mpsc::UnboundedSender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

/// Returns an agent whose function waits for a permit after its socket is closed, and the receiver
/// of its events.
fn gated(
    config: RuntimeConfig,
    gate: &Arc<Semaphore>,
) -> (
    Result<AgentRuntimeApp, StartError>,
    mpsc::UnboundedReceiver<&'static str>,
) {
    let gate = Arc::clone(gate);
    let (events, receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
        .websocket(move |mut socket: WebSocket| {
            let (gate, events) = (Arc::clone(&gate), events.clone());
            async move {
                let _on_drop = OnDrop(events.clone());
                while let Some(Ok(_)) = socket.recv().await {}
                let _ = events.send("closing");
                gate.acquire().await.expect("an open gate").forget();
                let _ = events.send("done");
            }
        })
        .build();
    (app, receiver)
}

#[tokio::test]
async fn a_function_may_run_until_the_grace_ends() {
    for (grace, permits, end) in [
        (Duration::from_secs(3600), 1, "done"),
        (Duration::from_millis(200), 0, "dropped"),
    ] {
        let gate = Arc::new(Semaphore::new(0));
        let (app, mut events) = gated(config().shutdown_grace(grace), &gate);
        let mut server = TestServer::start(app).await;
        let mut client = Client::open(&server).await;
        server.begin_shutdown();
        assert_eq!(client.closed().await.0, 1001);
        client.answer_close(1001).await;
        let mut next = async || with_timeout("an event", events.recv()).await;
        assert_eq!(next().await, Some("closing"));
        gate.add_permits(permits);
        assert_eq!(next().await, Some(end));
        server.ended().await;
    }
}

/// A function may still answer messages that it received before the shutdown.
#[tokio::test]
async fn a_shutdown_does_not_cancel_functions() {
    let (events, mut receiver) = mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |request: Value| request)
        .websocket(move |mut socket: WebSocket, context: RequestContext| {
            let events = events.clone();
            async move {
                while let Some(Ok(_)) = socket.recv().await {}
                let _ = events.send(context.is_cancelled());
            }
        })
        .build();
    let mut server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    server.begin_shutdown();
    // The client has not answered the close frame.
    let event = with_timeout("an event", receiver.recv()).await;
    assert_eq!(event, Some(false));
    assert_eq!(client.closed().await.0, 1001);
    client.answer_close(1001).await;
    server.ended().await;
}
