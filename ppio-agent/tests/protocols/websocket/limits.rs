//! Size limits and timeouts of WebSocket connections.

use std::time::Duration;

use ppio::{AgentRuntimeApp, ByteSize, Value, WebSocket};

use super::client::{Client, head};
use super::echoing;
use crate::support::{TestServer, config, with_timeout};

#[tokio::test]
async fn an_error_of_the_client_closes_the_socket_with_its_code() {
    let server = TestServer::start(echoing(config())).await;
    for (bytes, code) in [
        // One byte more than the largest frame; only its header is sent.
        (head(0x82, 64 * 1024 + 1), 1009),
        // A text that is not UTF-8.
        (vec![0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        // A frame without a mask, and a frame with an unknown opcode.
        (vec![0x81, 0x01, b'x'], 1002),
        (head(0x83, 0), 1002),
    ] {
        let mut client = Client::open(&server).await;
        client.connection.write(bytes).await;
        assert_eq!(client.closed().await.0, code);
        client.connection.assert_closed().await;
        drop(client);
        server.idle().await;
    }
    let refused = "invocations_total{outcome=\"client_error\"}";
    assert_eq!(server.metric(refused).await, 4);
    server.assert_alive().await;
}

#[tokio::test]
async fn the_close_frame_arrives_while_the_client_is_sending() {
    let server = TestServer::start(echoing(config())).await;
    let mut client = Client::open(&server).await;
    let mut bytes = head(0x82, 8 << 20);
    bytes.resize(8 << 20, 0);
    client.connection.write(bytes).await;
    assert_eq!(client.closed().await.0, 1009);
}

#[tokio::test]
async fn the_configured_size_limits_apply() {
    let app = echoing(
        config()
            .websocket_max_frame_size(ByteSize::new(10))
            .websocket_max_message_size(ByteSize::new(15)),
    );
    let server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    client.send(0x01, b"0123456789").await;
    client.send(0x80, b"abcde").await;
    // The answer is divided into frames in the same way as the message.
    assert_eq!(client.receive().await, (0x01, b"0123456789".to_vec()));
    assert_eq!(client.receive().await, (0x80, b"abcde".to_vec()));
    client.send(0x01, b"0123456789").await;
    client.send(0x80, b"abcdef").await;
    assert_eq!(client.closed().await.0, 1009);

    let mut client = Client::open(&server).await;
    client.send(0x81, b"0123456789a").await;
    assert_eq!(client.closed().await.0, 1009);
}

/// AgentCore does not forward frames of more than 64 KiB, so the agent does not send larger frames
/// even if the setting allows them.
#[tokio::test]
async fn no_frame_of_more_than_64_kib_is_sent() {
    let size = 150_000;
    let app = echoing(config().websocket_max_frame_size(ByteSize::new(1 << 20)));
    let server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    client.send(0x82, &vec![1; size]).await;
    let mut frames = Vec::new();
    for _ in 0..3 {
        let (first, payload) = client.receive().await;
        frames.push((first, payload.len()));
    }
    let largest = 64 * 1024;
    let rest = size - 2 * largest;
    assert_eq!(frames, [(0x02, largest), (0x00, largest), (0x80, rest)]);
}

#[tokio::test]
async fn an_idle_socket_is_closed_with_1001() {
    let app = echoing(config().websocket_idle_timeout(Duration::from_millis(50)));
    let server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    assert_eq!(client.closed().await, (1001, "idle".to_owned()));
    client.answer_close(1001).await;
    server.idle().await;
}

/// Neither the time limits of a request nor the time limit between two requests ends a session.
#[tokio::test]
async fn the_timeouts_of_requests_do_not_apply() {
    let short = Duration::from_millis(30);
    let app = echoing(
        config()
            .keep_alive_timeout(short)
            .header_timeout(short)
            .body_timeout(short)
            .timeout(short)
            .heartbeat(short),
    );
    let server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    for _ in 0..20 {
        assert_eq!(client.receive().await, (0x89, Vec::new()));
    }
    client.send(0x81, b"still here").await;
    loop {
        match client.receive().await {
            (0x89, _) => {}
            message => {
                assert_eq!(message, (0x81, b"still here".to_vec()));
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let app = AgentRuntimeApp::builder()
        .config(config().write_timeout(Duration::from_millis(100)))
        .entrypoint(async |request: Value| request)
        .websocket(async |socket: WebSocket| {
            // `send` waits for the client, so the loop ends with the connection.
            while socket.send(vec![0; 60_000]).await.is_ok() {}
        })
        .build();
    let server = TestServer::start(app).await;
    let client = Client::open(&server).await;
    with_timeout("the end of the session", server.idle()).await;
    drop(client);
    // A client that reads gets every message.
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |request: Value| request)
        .websocket(async |socket: WebSocket| {
            for _ in 0..200 {
                socket.send(vec![0; 60_000]).await?;
            }
            Ok::<_, ppio::Error>(())
        })
        .build();
    let server = TestServer::start(app).await;
    let mut client = Client::open(&server).await;
    for _ in 0..200 {
        let (first, payload) = client.receive().await;
        assert_eq!((first, payload.len()), (0x82, 60_000));
    }
    assert_eq!(client.closed().await.0, 1000);
}

/// A client that sends more than the function receives waits, and nothing is lost.
#[tokio::test]
async fn a_client_waits_for_a_function_that_receives_slowly() {
    let server = TestServer::start(
        AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(async |request: Value| request)
            .websocket(async |mut socket: WebSocket| {
                let mut sum = 0;
                while let Some(Ok(message)) = socket.recv().await {
                    tokio::task::yield_now().await;
                    sum += message.as_bytes().len();
                    if message.as_bytes().is_empty() {
                        break;
                    }
                }
                socket.send(sum.to_string()).await
            })
            .build(),
    )
    .await;
    let mut client = Client::open(&server).await;
    for _ in 0..500 {
        client.send(0x82, &[1; 10_000]).await;
    }
    client.send(0x82, b"").await;
    assert_eq!(client.text().await, "5000000");
}
