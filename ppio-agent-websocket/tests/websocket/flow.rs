//! Messages in both directions.

use std::time::Duration;

use ppio_agent_websocket::{SocketLimits, WebSocketError, WebSocketMessage};

use crate::support::{LIMITS, pair, raw, with_timeout};

#[tokio::test]
async fn messages_pass_in_both_directions() {
    let (mut server, mut client) = pair(LIMITS).await;
    for length in [0, 1, 125, 126, 65_535, 65_536, 65_537, 1 << 20] {
        let text = "x".repeat(length);
        for message in [
            WebSocketMessage::from(text.clone()),
            WebSocketMessage::from(text.into_bytes()),
        ] {
            let sender = client.socket.sender();
            let sent = message.clone();
            let sending = tokio::spawn(async move { sender.send(sent).await });
            let received = with_timeout(server.socket.recv()).await;
            assert_eq!(received.expect("a message").expect("no error"), message);
            sending.await.expect("no panic").expect("no error");
            server.socket.send(message.clone()).await.expect("no error");
            let received = with_timeout(client.socket.recv()).await;
            assert_eq!(received.expect("a message").expect("no error"), message);
        }
    }
}

/// Both sides send before they receive, more than fits into every buffer between them.
#[tokio::test]
async fn two_sides_that_send_concurrently_do_not_wait_for_each_other() {
    let (mut server, mut client) = pair(LIMITS).await;
    let block = "y".repeat(100_000);
    let mut tasks = Vec::new();
    for sender in [server.socket.sender(), client.socket.sender()] {
        let block = block.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..20 {
                sender.send(block.as_str()).await.expect("no error");
            }
        }));
    }
    for _ in 0..20 {
        assert_eq!(server.text().await.len(), block.len());
        assert_eq!(client.text().await.len(), block.len());
    }
    for task in tasks {
        with_timeout(task).await.expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_a_peer_that_does_not_receive() {
    let (server, mut client) = pair(SocketLimits {
        write_timeout: Duration::from_secs(3600),
        ..LIMITS
    })
    .await;
    let sender = server.socket.sender();
    let (count, mut counted) = tokio::sync::watch::channel(0);
    let sending = tokio::spawn(async move {
        for number in 1..=1000 {
            sender.send("z".repeat(10_000)).await.expect("no error");
            count.send_replace(number);
        }
    });
    // With paused time the timeout passes when nothing else can happen.
    while tokio::time::timeout(Duration::from_secs(1), counted.changed())
        .await
        .is_ok()
    {}
    let queued = *counted.borrow();
    assert!((6..60).contains(&queued), "{queued} messages were queued");
    for _ in 0..1000 {
        client.text().await;
    }
    with_timeout(sending).await.expect("no panic");
}

#[tokio::test]
async fn pings_are_answered_while_no_message_is_received() {
    let (_server, mut peer) = raw(LIMITS).await;
    for number in 0..200_u8 {
        peer.send(0x89, &[number]).await;
        assert_eq!(peer.receive().await, (0x8a, vec![number]));
    }
}

#[tokio::test]
async fn a_message_in_many_frames_is_one_message() {
    let (mut server, mut peer) = raw(LIMITS).await;
    // A character of two bytes is divided, and a ping comes in between.
    peer.send(0x01, "gr\u{fc}".as_bytes().split_last().expect("bytes").1)
        .await;
    peer.send(0x89, b"").await;
    peer.send(0x00, &["\u{fc}".as_bytes()[1]]).await;
    peer.send(0x00, b"").await;
    peer.send(0x80, b"n").await;
    assert_eq!(server.text().await, "gr\u{fc}n");
    assert_eq!(peer.receive().await, (0x8a, Vec::new()));
}

#[tokio::test]
async fn after_the_end_nothing_is_sent_and_the_queue_is_received() {
    let (mut server, mut client) = pair(LIMITS).await;
    client.socket.send("last").await.expect("no error");
    with_timeout(client.socket.close(4000, "done"))
        .await
        .expect("a valid code");
    assert_eq!(server.text().await, "last");
    assert!(with_timeout(server.socket.recv()).await.is_none());
    let frame = server.socket.close_frame().expect("a close frame");
    assert_eq!((frame.code, &*frame.reason), (4000, "done"));
    for side in [&server, &client] {
        let error = side.socket.send("late").await.expect_err("it is closed");
        assert!(matches!(error, WebSocketError::Closed), "{error}");
    }
    assert!(with_timeout(client.socket.recv()).await.is_none());
}
