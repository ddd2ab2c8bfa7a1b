//! Tests of `/ws` with a client that reads and writes single frames.

mod client;
mod ends;
mod handshake;
mod limits;
mod shutdown;

use ppio::{AgentRuntimeApp, RuntimeConfig, StartError, Value, WebSocket, WebSocketError};

use self::client::Client;
use crate::support::{TestServer, config, get};

/// Sends every message back.
async fn echo(mut socket: WebSocket) -> Result<(), WebSocketError> {
    while let Some(message) = socket.recv().await {
        socket.send(message?).await?;
    }
    Ok(())
}

/// An agent that echoes every WebSocket message.
fn echoing(config: RuntimeConfig) -> Result<AgentRuntimeApp, StartError> {
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(async |request: Value| request)
        .websocket(echo)
        .build()
}

#[tokio::test]
async fn messages_are_sent_and_received() {
    let server = TestServer::start(echoing(config())).await;
    let mut client = Client::open(&server).await;
    for text in ["", "hi", &"x".repeat(60_000)] {
        client.send(0x81, text.as_bytes()).await;
        assert_eq!(client.receive().await, (0x81, text.as_bytes().to_vec()));
        client.send(0x82, text.as_bytes()).await;
        assert_eq!(client.receive().await, (0x82, text.as_bytes().to_vec()));
    }
    client.send(0x89, b"ping").await;
    assert_eq!(client.receive().await, (0x8a, b"ping".to_vec()));
    client.close(1000).await;
    server.idle().await;
    server.assert_alive().await;
}

#[tokio::test]
async fn an_open_socket_is_an_invocation_and_makes_the_agent_busy() {
    let server = TestServer::start(echoing(config().max_concurrency(1))).await;
    let mut client = Client::open(&server).await;
    assert_eq!(server.metric("invocations_running").await, 1);
    let ping = server.send(get("/ping")).await;
    assert_eq!(ping.json()["status"], "HealthyBusy");
    let mut second = server.connect().await;
    second.write(client::handshake("")).await;
    second.answer().await.error(503, "Overloaded");
    server.invoke("1").await.error(503, "Overloaded");
    client.close(1000).await;
    server.idle().await;
    server.assert_alive().await;
    assert_eq!(server.invoke("1").await.result(), 1);
}

#[tokio::test]
async fn two_hundred_sockets_are_served_concurrently() {
    let server = TestServer::start(echoing(config())).await;
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(Client::open(&server).await);
    }
    assert_eq!(server.metric("invocations_running").await, 200);
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(0x81, number.to_string().as_bytes()).await;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let text = number.to_string().into_bytes();
        assert_eq!(client.receive().await, (0x81, text));
        client.close(1000).await;
    }
    server.idle().await;
}

#[tokio::test]
async fn the_index_lists_the_endpoint() {
    let with = TestServer::start(echoing(config())).await;
    let index = with.send(get("/")).await.json();
    assert_eq!(index["endpoints"]["websocket"], "/ws");
    let without = TestServer::start(crate::support::echo(config())).await;
    let index = without.send(get("/")).await.json();
    assert_eq!(index["endpoints"].get("websocket"), None);
}

/// The agent is mounted in a server of another crate that supports upgrades.
#[tokio::test]
async fn a_mounted_agent_serves_sockets_too() {
    use hyper::server::conn::http1;
    use hyper_util::rt::TokioIo;

    let service = echoing(config()).expect("an agent").into_service();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let http = http1::Builder::new();
        let connection = http.serve_connection(TokioIo::new(stream), service);
        connection.with_upgrades().await
    });
    let mut client = Client::over(crate::support::Connection::open(address).await).await;
    client.send(0x81, b"hi").await;
    assert_eq!(client.receive().await, (0x81, b"hi".to_vec()));
    client.close(1000).await;
    serving.await.expect("no panic").expect("no error");
}
