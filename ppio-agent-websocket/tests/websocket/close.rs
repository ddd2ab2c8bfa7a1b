//! How a connection ends.

use ppio_agent_websocket::{SocketEnd, WebSocketError};
use tokio::io::AsyncWriteExt as _;

use crate::support::{LIMITS, pair, raw, with_timeout};

#[tokio::test]
async fn dropping_every_handle_closes_with_1000_after_what_was_sent() {
    let (mut server, client) = pair(LIMITS).await;
    let sender = client.socket.sender();
    drop(client.socket);
    // Another handle keeps the connection open, and messages of the peer are discarded.
    for _ in 0..200 {
        server.socket.send("unread").await.expect("no error");
    }
    sender.send("kept").await.expect("no error");
    assert_eq!(server.text().await, "kept");
    sender.send("last").await.expect("no error");
    drop(sender);
    assert_eq!(server.text().await, "last");
    assert!(with_timeout(server.socket.recv()).await.is_none());
    let end = with_timeout(client.driver).await.expect("no panic");
    assert!(
        matches!(&end, SocketEnd::Closed(frame) if frame.code == 1000),
        "{end:?}"
    );
    let end = server.end().await;
    assert!(
        matches!(&end, SocketEnd::ClosedByPeer(Some(frame)) if frame.code == 1000),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_broken_connection_is_an_error_and_then_the_end() {
    let (mut server, mut peer) = raw(LIMITS).await;
    peer.send(0x81, b"whole").await;
    // Half a frame.
    peer.head(0x81, 10).await;
    peer.0.write_all(b"half").await.expect("a write");
    drop(peer);
    assert_eq!(server.text().await, "whole");
    let error = with_timeout(server.socket.recv()).await;
    let error = error.expect("an error").expect_err("an error");
    assert!(matches!(error, WebSocketError::Disconnected(_)), "{error}");
    assert!(with_timeout(server.socket.recv()).await.is_none());
    let end = server.end().await;
    assert!(matches!(end, SocketEnd::Broken(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_frame_is_disconnected() {
    let (mut server, mut peer) = raw(LIMITS).await;
    with_timeout(server.socket.close(1000, ""))
        .await
        .expect("a valid code");
    assert_eq!(peer.close_code().await, 1000);
    let end = server.end().await;
    assert!(matches!(end, SocketEnd::Closed(_)), "{end:?}");
}

#[tokio::test]
async fn the_close_frame_of_the_peer_is_answered() {
    for (payload, code) in [
        (&[][..], None),
        (&[0x03, 0xe8][..], Some(1000)),
        (&[0x0f, 0xa0, b'x'][..], Some(4000)),
        // A code that must not be sent.
        (&[0x03, 0xed][..], Some(1002)),
    ] {
        let (mut server, mut peer) = raw(LIMITS).await;
        peer.send(0x88, payload).await;
        let (first, answer) = peer.receive().await;
        assert_eq!(first, 0x88);
        let answered = code.map(|code: u16| code.to_be_bytes());
        assert!(answer.starts_with(&answered.unwrap_or_default()[..answered.map_or(0, |_| 2)]));
        assert!(with_timeout(server.socket.recv()).await.is_none());
        let found = server.socket.close_frame().map(|frame| frame.code);
        assert_eq!(found, code);
        let end = server.end().await;
        assert!(matches!(end, SocketEnd::ClosedByPeer(_)), "{end:?}");
        peer.end().await;
    }
}
