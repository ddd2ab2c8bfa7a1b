//! Exceeded limits, and violations of the protocol.

use std::time::Duration;

use ppio_agent_websocket::{SocketEnd, SocketLimits, WebSocketError};

use crate::support::{LIMITS, RawPeer, pair, raw, with_timeout};

/// Sends the invalid frame of a case.
async fn misbehave(peer: &mut RawPeer, fault: &str) {
    match fault {
        "frame" => peer.head(0x82, 64 * 1024 + 1).await,
        "message" => {
            peer.send(0x02, &vec![0; 64 * 1024]).await;
            for _ in 0..15 {
                peer.send(0x00, &vec![0; 64 * 1024]).await;
            }
            peer.send(0x80, b"x").await;
        }
        "text" => peer.send(0x81, b"\xff").await,
        "text in frames" => {
            peer.send(0x01, b"\xc3").await;
            peer.send(0x80, b"x").await;
        }
        "opcode" => peer.send(0x83, b"").await,
        "reserved bit" => peer.send(0xc1, b"").await,
        "continuation of nothing" => peer.send(0x80, b"").await,
        "ping in frames" => peer.send(0x09, b"").await,
        "large ping" => peer.send(0x89, &[0; 126]).await,
        "close of one byte" => peer.send(0x88, &[3]).await,
        "no mask" => {
            use tokio::io::AsyncWriteExt as _;
            peer.0.write_all(&[0x81, 1, b'x']).await.expect("a write");
        }
        other => panic!("unknown fault {other}"),
    }
}

#[tokio::test]
async fn each_violation_of_the_peer_has_its_close_code() {
    for (fault, code) in [
        ("frame", 1009),
        ("message", 1009),
        ("text", 1007),
        ("text in frames", 1007),
        ("opcode", 1002),
        ("reserved bit", 1002),
        ("continuation of nothing", 1002),
        ("ping in frames", 1002),
        ("large ping", 1002),
        ("close of one byte", 1002),
        ("no mask", 1002),
    ] {
        let (mut server, mut peer) = raw(LIMITS).await;
        peer.send(0x81, b"before").await;
        misbehave(&mut peer, fault).await;
        // The close frame arrives although the peer never sends the rest of its frame.
        assert_eq!(peer.close_code().await, code, "{fault}");
        peer.end().await;
        drop(peer);
        assert_eq!(server.text().await, "before", "{fault}");
        let error = with_timeout(server.socket.recv()).await;
        let error = error.expect("an error").expect_err(fault);
        let is_expected = match code {
            1009 => matches!(error, WebSocketError::TooLarge { .. }),
            1007 => matches!(error, WebSocketError::NotUtf8),
            _ => matches!(error, WebSocketError::Protocol { .. }),
        };
        assert!(is_expected, "{fault}: {error}");
        assert!(with_timeout(server.socket.recv()).await.is_none());
        let end = server.end().await;
        assert!(matches!(end, SocketEnd::Refused(_)), "{fault}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_messages_is_closed_with_1001() {
    let (server, mut peer) = raw(SocketLimits {
        idle_timeout: Some(Duration::from_secs(100)),
        ..LIMITS
    })
    .await;
    let started = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(60)).await;
    peer.send(0x81, b"awake").await;
    for _ in 0..9 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Pings are not messages.
        peer.send(0x89, b"").await;
        assert_eq!(peer.receive().await.0, 0x8a);
    }
    assert_eq!(peer.close_code().await, 1001);
    assert_eq!(started.elapsed().as_secs(), 160);
    peer.send(0x88, &[0x03, 0xe9]).await;
    let end = server.end().await;
    assert!(
        matches!(&end, SocketEnd::Closed(frame) if frame.code == 1001),
        "{end:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_gets_pings() {
    let (server, mut peer) = raw(SocketLimits {
        heartbeat: Some(Duration::from_secs(15)),
        ..LIMITS
    })
    .await;
    let started = tokio::time::Instant::now();
    for number in 1..=3 {
        assert_eq!(peer.receive().await, (0x89, Vec::new()));
        assert_eq!(started.elapsed().as_secs(), 15 * number);
    }
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_disconnected() {
    let (server, peer) = raw(LIMITS).await;
    let sender = server.socket.sender();
    let sending = tokio::spawn(async move { while sender.send("x".repeat(1000)).await.is_ok() {} });
    let started = tokio::time::Instant::now();
    let end = server.end().await;
    assert!(matches!(end, SocketEnd::Broken(_)), "{end:?}");
    assert_eq!(started.elapsed().as_secs(), 60);
    with_timeout(sending).await.expect("no panic");
    drop(peer);
}

/// The driver does not queue pongs without a limit.
#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_pings_and_reads_nothing_is_disconnected() {
    let (server, mut peer) = raw(LIMITS).await;
    let pinging = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let mut ping = vec![0x89, 0xfd, 0, 0, 0, 0];
        ping.extend([0; 125]);
        let mut sent = 0_u64;
        while peer.0.write_all(&ping).await.is_ok() && sent < 100_000 {
            sent += 1;
            tokio::task::yield_now().await;
        }
        (sent, peer)
    });
    let end = server.end().await;
    assert!(matches!(end, SocketEnd::Broken(_)), "{end:?}");
    pinging.abort();
}

/// Once the buffers are full, only the last ping is answered.
#[tokio::test]
async fn few_pongs_are_queued_for_a_peer_that_reads_nothing() {
    let (server, mut peer) = raw(LIMITS).await;
    for _ in 0..4000 {
        with_timeout(peer.send(0x89, &[0; 125])).await;
    }
    peer.send(0x88, &[]).await;
    let mut answers = 0;
    while peer.receive().await.0 == 0x8a {
        answers += 1;
    }
    // The buffers of the driver and of the connection hold about 900 answers.
    assert!((1..1500).contains(&answers), "{answers} answers");
    let end = server.end().await;
    assert!(matches!(end, SocketEnd::ClosedByPeer(None)), "{end:?}");
}

#[tokio::test]
async fn only_valid_codes_and_reasons_close() {
    let (mut server, mut client) = pair(LIMITS).await;
    for (code, reason) in [(1005, ""), (0, ""), (1000, &"x".repeat(124)[..])] {
        let error = server.socket.close(code, reason).await.expect_err("bad");
        assert!(
            matches!(error, WebSocketError::InvalidClose { .. }),
            "{error}"
        );
    }
    server.socket.send("still open").await.expect("no error");
    assert_eq!(client.text().await, "still open");
}
