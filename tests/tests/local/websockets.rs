//! WebSockets to agents on the local platform, through the client.

use std::time::Duration;

use ppio_agent_client::platform::NewSandbox;
use ppio_agent_client::{ClientConfig, Error, WebSocket, WebSocketError, WebSocketMessage};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{example_binary_alone, with_timeout};
use serde_json::{Value, json};

use crate::test_platform::TestPlatform;

/// Returns the next message, as JSON.
async fn next(socket: &mut WebSocket) -> Value {
    let message = with_timeout("a message", socket.recv()).await;
    let message = message.expect("a message").expect("no error");
    serde_json::from_str(message.as_text().expect("text")).expect("JSON")
}

async fn close_code(mut socket: WebSocket) -> Option<u16> {
    while let Some(message) = with_timeout("the end", socket.recv()).await {
        if let Err(error) = message {
            assert!(matches!(error, WebSocketError::Disconnected(_)), "{error}");
            break;
        }
    }
    socket.close_frame().map(|frame| frame.code)
}

async fn chat(socket: &mut WebSocket, turn: u64) {
    socket.send("a b").await.unwrap();
    assert_eq!(next(socket).await, json!({"delta": "a "}));
    assert_eq!(next(socket).await, json!({"delta": "b"}));
    assert_eq!(next(socket).await["done"], turn);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_sockets_to_its_agent() {
    let local = TestPlatform::with(|builder| builder).await;
    let template = local.agent("websocket").await;
    let client = local.client();
    let session = client.create_session(&template).await.unwrap();

    let mut socket = session.websocket().await.unwrap();
    chat(&mut socket, 1).await;
    // The message is larger than a frame, in both directions.
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    socket.send(bytes.clone()).await.unwrap();
    let echo = with_timeout("the echo", socket.recv()).await;
    assert_eq!(
        echo.unwrap().unwrap(),
        WebSocketMessage::Binary(bytes.into())
    );
    // An invocation in the meantime, and a second socket.
    let answer = session.invoke("hi").await.unwrap();
    assert_eq!(answer.result, Some(json!({"echo": "hi"})));
    let mut second = session.websocket().await.unwrap();
    chat(&mut second, 1).await;
    chat(&mut socket, 2).await;

    // Either side can close a socket.
    second.send("bye").await.unwrap();
    assert_eq!(close_code(second).await, Some(4000));
    with_timeout("the end", socket.close(1000, ""))
        .await
        .unwrap();
    let error = socket.send("late").await.unwrap_err();
    assert!(matches!(error, WebSocketError::Closed), "{error}");

    session.close().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_or_closed_sandbox_has_the_error_of_other_calls() {
    let local = TestPlatform::with(|builder| builder).await;
    let template = local.agent("websocket").await;
    let client = local.client();
    let session = client.create_session(&template).await.unwrap();

    let mut socket = session.websocket().await.unwrap();
    chat(&mut socket, 1).await;
    session.pause().await.unwrap();
    let error = session.websocket().await.unwrap_err();
    assert!(matches!(error, Error::SandboxOperation { .. }), "{error}");
    assert!(error.report().to_string().contains("resume"), "{error}");
    session.resume().await.unwrap();
    // On the local platform, a pause keeps the connections of a sandbox open.
    chat(&mut socket, 2).await;

    // The connection ends with the sandbox.
    client.close_session(session.sandbox_id()).await.unwrap();
    assert_eq!(close_code(socket).await, None);
    let error = session.websocket().await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_handshake_is_an_error_of_the_agent() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    let hello = tokio::task::spawn_blocking(|| example_binary_alone("hello"));
    let hello = TemplateSpec::new("hello").binary(hello.await.unwrap());
    let hello = local.template(hello).await;
    let session = client.create_session(&hello).await.unwrap();
    let error = session.websocket().await.unwrap_err();
    let Error::Invocation {
        status, error_type, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!(
        (*status, error_type.as_deref()),
        (Some(404), Some("NotFound"))
    );
    session.close().await.unwrap();

    let template = local.agent("websocket").await;
    let session = client.create_session(&template).await.unwrap();
    // The page of this origin may not call the agent.
    let foreign = session.websocket().header("origin", "https://evil.example");
    let error = foreign.await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Invocation {
                status: Some(403),
                ..
            }
        ),
        "{error:?}"
    );
    // The agent selects no subprotocol.
    let error = session.websocket().protocol("chat").await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    for error in [
        session.websocket().header("sec-websocket-key", "x").await,
        session.websocket().header("upgrade", "h2c").await,
        session.websocket().protocol("a b").await,
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Validation { .. }), "{error:?}");
    }
    session.close().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_socket_is_closed_and_releases_its_session() {
    let local = TestPlatform::with(|builder| builder).await;
    let template = local.agent("websocket").await;
    let client = local.client_with(ClientConfig {
        max_connections: 1,
        ..ClientConfig::default()
    });
    let session = client.create_session(&template).await.unwrap();
    let mut socket = session.websocket().await.unwrap();
    chat(&mut socket, 1).await;
    // The socket is the only active connection until it is closed.
    let waiting = session
        .invoke("hi")
        .timeout(Duration::from_millis(300))
        .await;
    assert!(matches!(waiting, Err(Error::Timeout { .. })), "{waiting:?}");
    drop(socket);
    let answer = session.invoke("hi").await.unwrap();
    assert_eq!(answer.result, Some(json!({"echo": "hi"})));

    // A socket keeps its session open even if the other handles are dropped.
    let mut socket = session.websocket().await.unwrap();
    drop(session);
    chat(&mut socket, 1).await;
    drop(socket);
    local.stop_when_empty().await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_use_the_traffic_token_and_tls() {
    let local = TestPlatform::with(|builder| builder.tls(true)).await;
    let template = local.agent("websocket").await;
    let url = local.platform.url();
    let secure = url.replace("http://127.0.0.1", "https://localhost");
    let client = local.client_with(ClientConfig {
        base_url: Some(secure.clone()),
        sandbox_url: Some(secure),
        root_certificates: vec![std::fs::read(local.certificate()).unwrap()],
        ..ClientConfig::default()
    });
    let mut new = NewSandbox::new(&template, Duration::from_secs(60));
    let network = json!({ "allowPublicTraffic": false });
    new.extra.insert("network".into(), network);
    let sandbox = client.platform().create_sandbox(&new).await.unwrap();
    assert!(sandbox.traffic_access_token.is_some());
    let session = client.get_session(&sandbox.sandbox_id).await.unwrap();
    let session = session.expect("a session");
    // The response to this call contains the token.
    session.resume().await.unwrap();
    chat(&mut session.websocket().await.unwrap(), 1).await;
    session.close().await.unwrap();
    local.stop_when_empty().await;
}
