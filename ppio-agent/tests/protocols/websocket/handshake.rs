//! Which requests open a WebSocket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get as on_get;
use hyper_util::rt::TokioIo;
use ppio::http::HeaderValue;
use ppio::{
    AgentRuntimeApp, Error, Next, Request, RequestContext, Response, State, Value, WebSocket,
    WebSocketError,
};
use tokio::io::AsyncWriteExt as _;

use super::client::{Client, frame, handshake};
use super::{echo, echoing};
use crate::support::{TestServer, config, get};

/// The handshake with one line replaced.
fn with(line: &str, replacement: &str) -> String {
    let handshake = handshake("");
    assert!(handshake.contains(line), "{line}");
    handshake.replacen(line, replacement, 1)
}

#[tokio::test]
async fn invalid_handshakes_are_refused() {
    let server = TestServer::start(echoing(config())).await;
    for (request, status, error_type) in [
        (get("/ws"), 426, "UpgradeRequired"),
        (
            with("upgrade: websocket", "upgrade: h2c"),
            426,
            "UpgradeRequired",
        ),
        (
            with("connection: Upgrade", "connection: keep-alive"),
            400,
            "BadHandshake",
        ),
        (with("version: 13", "version: 8"), 400, "BadHandshake"),
        (
            with("sec-websocket-version: 13\r\n", ""),
            400,
            "BadHandshake",
        ),
        (
            with("dGhlIHNhbXBsZSBub25jZQ==", "short"),
            400,
            "BadHandshake",
        ),
        (
            with("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
            400,
            "BadHandshake",
        ),
        (with("HTTP/1.1", "HTTP/1.0"), 400, "BadHandshake"),
        (
            handshake("content-length: 1\r\n") + "x",
            400,
            "BadHandshake",
        ),
        (with("GET /ws", "POST /ws"), 405, "MethodNotAllowed"),
        (with("GET /ws", "DELETE /ws"), 405, "MethodNotAllowed"),
        (with("GET /ws", "GET /ws/"), 404, "NotFound"),
        (
            with("host: localhost", "host: evil.example"),
            421,
            "HostNotAllowed",
        ),
        (
            handshake("origin: https://evil.example\r\n"),
            403,
            "OriginNotAllowed",
        ),
        (handshake("origin: null\r\n"), 403, "OriginNotAllowed"),
        (handshake("ppio-timeout: soon\r\n"), 400, "BadRequest"),
    ] {
        let answer = server.send(&request).await;
        answer.error(status, error_type);
        let version = answer.header("sec-websocket-version");
        assert_eq!(version.is_some(), error_type == "BadHandshake", "{request}");
        let upgrade = answer.header("upgrade");
        assert_eq!(upgrade.is_some(), status == 426, "{request}");
    }
    assert_eq!(server.metric("invocations_running").await, 0);
    server.assert_alive().await;
}

#[tokio::test]
async fn pages_that_may_call_the_agent_open_sockets() {
    let app = echoing(config().cors_origins(["https://a.example"]));
    let listed = TestServer::start(app).await;
    let default = TestServer::start(echoing(config())).await;
    for (server, origin, is_allowed) in [
        (&listed, "https://a.example", true),
        (&listed, "http://localhost:3000", false),
        (&default, "http://localhost:3000", true),
        (&default, "https://a.example", false),
    ] {
        let mut connection = server.connect().await;
        let request = handshake(&format!("origin: {origin}\r\n"));
        connection.write(request).await;
        if is_allowed {
            Client::accepted(connection).await.close(1000).await;
        } else {
            connection.answer().await.error(403, "OriginNotAllowed");
        }
    }
}

#[tokio::test]
async fn frames_that_arrive_with_the_handshake_are_received() {
    let server = TestServer::start(echoing(config())).await;
    let mut connection = server.connect().await;
    // Another request is sent first, so that the handshake arrives on an idle connection.
    connection.write(get("/ping")).await;
    assert_eq!(connection.answer().await.status, 200);
    let mut bytes = handshake("").into_bytes();
    bytes.extend(frame(0x81, b"first"));
    bytes.extend(frame(0x81, &[b'x'; 5000]));
    connection.write(bytes).await;
    let mut client = Client::accepted(connection).await;
    assert_eq!(client.text().await, "first");
    assert_eq!(client.text().await, "x".repeat(5000));
    client.close(1000).await;
}

#[tokio::test]
async fn without_a_websocket_function_the_socket_is_closed_with_1011() {
    let server = TestServer::start(crate::support::echo(config())).await;
    server.send(get("/ws")).await.error(404, "NotFound");
    let mut client = Client::open(&server).await;
    assert_eq!(client.closed().await.0, 1011);
    client.answer_close(1011).await;
    let request = handshake("origin: https://evil.example\r\n");
    server.send(request).await.error(403, "OriginNotAllowed");
    server.assert_alive().await;
}

/// Upgrades the connection of a request and writes one message to it, without a WebSocket function
/// of the agent.
async fn say_mine(request: axum::extract::Request) -> impl axum::response::IntoResponse {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.expect("an upgrade"));
        io.write_all(b"\x81\x04mine").await.expect("a client");
        io.shutdown().await.expect("a client");
    });
    let status = ppio::http::StatusCode::SWITCHING_PROTOCOLS;
    (
        status,
        [("connection", "upgrade"), ("upgrade", "websocket")],
    )
}

#[tokio::test]
async fn routes_can_serve_the_path_without_a_websocket_function() {
    let mine = Router::new().route("/ws", on_get(say_mine).post(async || "posted"));
    let builder = || {
        AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(async |request: Value| request)
            .routes(mine.clone())
    };
    let post = "POST /ws HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";

    let server = TestServer::start(builder().build()).await;
    assert_eq!(server.send(post).await.text(), "posted");
    let mut connection = server.connect().await;
    connection.write(handshake("")).await;
    assert_eq!(connection.head().await.status, 101);
    let mut client = Client { connection };
    assert_eq!(client.text().await, "mine");
    let request = handshake("origin: https://evil.example\r\n");
    server.send(request).await.error(403, "OriginNotAllowed");

    let server = TestServer::start(builder().websocket(echo).build()).await;
    server.send(post).await.error(405, "MethodNotAllowed");
    let mut client = Client::open(&server).await;
    client.send(0x81, b"hi").await;
    assert_eq!(client.text().await, "hi");
    client.close(1000).await;
}

#[tokio::test]
async fn the_endpoint_can_be_switched_off() {
    let app = echoing(config().protocols([]));
    let server = TestServer::start(app).await;
    server.send(handshake("")).await.error(404, "NotFound");
    server.send(get("/ws")).await.error(404, "NotFound");
    let index = server.send(get("/")).await.json();
    assert_eq!(index["endpoints"].get("websocket"), None);
}

/// The user that the middleware authenticated.
#[derive(Clone)]
struct User(String);

async fn authenticate(mut request: Request, next: Next) -> Result<Response, Error> {
    let token = request.headers().get("authorization");
    let Some(user) = token.and_then(|token| token.to_str().ok()) else {
        return Err(Error::unauthorized("send a token"));
    };
    let user = User(user.to_owned());
    request.extensions_mut().insert(user);
    let mut response = next.run(request).await;
    let protocol = HeaderValue::from_static("chat");
    response
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    Ok(response)
}

async fn greet(
    socket: WebSocket,
    context: RequestContext,
    count: State<AtomicU64>,
) -> Result<(), WebSocketError> {
    let user = context.extension::<User>().map(|user| &*user.0);
    let count = count.fetch_add(1, Ordering::Relaxed);
    assert!(context.deadline().is_none());
    let current = ppio::AgentRuntimeContext::current().expect("a context");
    let is_same = current.request_id() == context.request_id();
    socket
        .send(format!(
            "{user:?} {count} {:?} {is_same}",
            context.session_id()
        ))
        .await
}

#[tokio::test]
async fn middleware_guards_the_handshake_and_the_function_takes_context_and_states() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .state(AtomicU64::new(7))
        .middleware(authenticate)
        .entrypoint(async |request: Value| request)
        .websocket(greet)
        .build();
    let server = TestServer::start(app).await;
    server.send(handshake("")).await.error(401, "Unauthorized");
    for count in 7..9 {
        let mut connection = server.connect().await;
        let headers = "authorization: Ann\r\n\
                       x-amzn-bedrock-agentcore-runtime-session-id: s-1\r\n";
        connection.write(handshake(headers)).await;
        let head = connection.head().await;
        assert_eq!(head.status, 101);
        assert_eq!(head.header("sec-websocket-protocol"), Some("chat"));
        let mut client = Client { connection };
        let text = format!("Some(\"Ann\") {count} Some(\"s-1\") true");
        assert_eq!(client.text().await, text);
        assert_eq!(client.closed().await, (1000, String::new()));
        client.answer_close(1000).await;
    }
    server.idle().await;
}

/// Middleware that replaces the response of a handshake ends the session.
#[tokio::test]
async fn a_handshake_response_replaced_by_middleware_starts_no_function() {
    let started = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&started);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |request: Request, next: Next| {
            let _ = next.run(request).await;
            Response::new("no".into())
        })
        .entrypoint(async |request: Value| request)
        .websocket(move |_: WebSocket| {
            counted.fetch_add(1, Ordering::Relaxed);
            async {}
        })
        .build();
    let server = TestServer::start(app).await;
    let answer = server.send(handshake("")).await;
    assert_eq!((answer.status, answer.text()), (200, "no"));
    server.idle().await;
    assert_eq!(started.load(Ordering::Relaxed), 0);
}
