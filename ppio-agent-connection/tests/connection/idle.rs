//! Idle connections release their buffers, and serve later requests like other connections.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ppio_agent_connection::{ConnectionError, Limits};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Client, SMALL, TIMEOUT, limits};

/// The limit that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_idle_connection_has_no_buffers_and_serves_further_requests() {
    let head = "GET /1 HTTP/1.1\r\n\r\n";
    let body = "POST /2 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc";
    let chunked = "POST /3 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let both = "POST /4 HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n\
                0\r\n\r\n";
    let large = format!(
        "POST /5 HTTP/1.1\r\ncontent-length: 9000\r\n\r\n{:9000}",
        ""
    );
    let (large, last) = (large.as_str(), "HEAD /6 HTTP/1.1\r\n\r\n");
    // A case is a list of parts; each is sent after the responses to the part before it.
    let cases: &[&[(&str, &[&str])]] = &[
        &[(head, &["/1 0;"]), (body, &["/2 3;"])],
        &[(
            &[head, body, chunked].concat(),
            &["/1 0;", "/2 3;", "/3 1;"],
        )],
        &[(chunked, &["/3 1;"]), (head, &["/1 0;"])],
        &[(both, &["send one of them;"])],
        &[(large, &["/5 9000;"]), (head, &["/1 0;"])],
        &[(last, &["content-length"]), (head, &["/1 0;"])],
        // Line breaks after a body, as old clients send them.
        &[(&format!("{body}\r\n"), &["/2 3;"]), (head, &["/1 0;"])],
        // A part of the next head comes with a request.
        &[
            (&format!("{body}GET /1 HT"), &["/2 3;"]),
            (&head[9..], &["/1 0;"]),
        ],
        &[(&format!("{body}G"), &["/2 3;"]), (&head[1..], &["/1 0;"])],
    ];
    for case in cases {
        // A new connection, and one that is idle after its first request.
        for mut client in [Client::new(limits()).await, Client::idle(limits()).await] {
            for (text, bodies) in *case {
                client.write(text).await;
                client.expect(bodies).await;
            }
        }
    }

    let mut client = Client::new(limits()).await;
    client.write(&format!("{head}{}", &both[..40])).await;
    client.expect(&["/1 0;"]).await;
    client.write(&both[40..]).await;
    client.expect(&["send one of them;"]).await;
}

#[tokio::test]
async fn frequent_requests_share_buffers_until_the_connection_is_idle() {
    let mut client = Client::idle(limits()).await;
    let frequent = async {
        // On a slow machine the first requests may not be frequent.
        while client.size.load(Ordering::Relaxed) <= SMALL {
            client.write("GET /1 HTTP/1.1\r\n\r\n").await;
            client.expect(&["/1 0;"]).await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, frequent).await;
    waited.expect("a connection with buffers");
    client.without_buffers().await;
    client.write("GET /2 HTTP/1.1\r\n\r\n").await;
    client.expect(&["/2 0;"]).await;
}

#[tokio::test]
async fn an_idle_connection_can_be_upgraded() {
    let mut client = Client::idle(limits()).await;
    client
        .write("GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nfirst")
        .await;
    client.expect(&["101", "first"]).await;
    client.write("second").await;
    client.expect(&["second"]).await;
    client.stream.shutdown().await.expect("a half-close");
    client.end().await.expect("no error");
}

#[tokio::test]
async fn an_idle_connection_ends() {
    // Each block ends the connection in another way: by its timeout, by a shutdown, by the client.
    let short = Limits {
        keep_alive_timeout: SHORT,
        ..limits()
    };
    let client = Client::idle(short).await;
    client.end().await.expect("no error");

    let client = Client::idle(limits()).await;
    client.shutdown.send_replace(());
    client.end().await.expect("no error");

    let mut client = Client::idle(limits()).await;
    client.stream.shutdown().await.expect("a half-close");
    client.end().await.expect("no error");
}

#[tokio::test]
async fn incomplete_headers_after_idling_end_at_the_header_timeout() {
    let short = || Limits {
        header_timeout: SHORT,
        ..limits()
    };
    let mut client = Client::idle(short()).await;
    client.write("GET /1 HT").await;
    let end = client.end().await;
    assert!(
        matches!(end, Err(ConnectionError::HeaderTimeout(_))),
        "{end:?}"
    );

    // The connection ends with the same error if half a head arrives with the request before it.
    let mut client = Client::new(short()).await;
    client.write("GET /0 HTTP/1.1\r\n\r\nGET /1 HT").await;
    client.expect(&["/0 0;"]).await;
    let end = client.end().await;
    assert!(
        matches!(end, Err(ConnectionError::HeaderTimeout(_))),
        "{end:?}"
    );
}
