//! The end of a request is unambiguous, or the request is refused and the connection closed.

use crate::support::{Client, limits};

const AMBIGUOUS: &str = "the request has a `Content-Length` and a `Transfer-Encoding` header";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\n\r\n";

/// Valid requests, and the bodies of their responses.
const GOOD: &[(&str, &[&str])] = &[
    ("", &[]),
    ("GET /1 HTTP/1.1\r\n\r\n", &["/1 0;"]),
    ("\r\n\nGET /1 HTTP/1.1\n\n\r\n\r\n", &["/1 0;"]),
    (
        "POST /2 HTTP/1.1\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
        &["/2 4;"],
    ),
    (
        "POST /3 HTTP/1.1\r\nContent-Length:0\r\ncontent-length: 0\r\n\r\n\
         POST /3 HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n4;a=b\r\n\r\n\r\n\r\n00 \r\n\r\n",
        &["/3 0;", "/3 4;"],
    ),
    (
        "POST /4 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nA\r\n0\r\n\r\nGET /\r\n\
         0\r\ncontent-length: 1\r\n\r\n\
         POST /5 HTTP/1.1\r\ncontent-length: 1\r\n\r\nxGET /6 HTTP/1.1\r\n\r\n",
        &["/4 11;", "/5 1;", "/6 0;"],
    ),
];

/// The headers and the body of requests with an ambiguous end, and the text of the refusal.
const BAD: &[(&str, &str)] = &[
    (
        "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        AMBIGUOUS,
    ),
    (
        "Transfer-Encoding: chunked\r\nx: y\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        AMBIGUOUS,
    ),
    (
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer encoding \"gzip, chunked\" is not supported",
    ),
    (
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer encoding \"gzip, chunked\" is not supported",
    ),
    // hyper itself refuses these requests, without a text.
    (
        "content-length: 0\r\ncontent-length: 4\r\n\r\n",
        "400 Bad Request",
    ),
    ("content-length: 0, 4\r\n\r\n", "400 Bad Request"),
    ("transfer-encoding: gzip\r\n\r\n", "400 Bad Request"),
];

/// Writes the parts, each in a packet of its own, and checks the responses.
async fn assert_refused(parts: &[&str], bodies: &[&str], refusal: &str) {
    let mut client = Client::new(limits()).await;
    let mut written = 0;
    for part in parts {
        client.received(written).await;
        client.write(part).await;
        written += part.len();
    }
    let text = client.rest().await;
    let mut rest = text.as_str();
    for body in bodies {
        let (_, after) = rest.split_once(body).expect(&text);
        rest = after;
    }
    assert!(rest.contains("HTTP/1.1 400 "), "{parts:?}: {text}");
    assert!(rest.contains("connection: close"), "{parts:?}: {text}");
    assert!(rest.contains(refusal), "{parts:?}: {text}");
    let responses = text.matches("HTTP/1.1 ").count();
    assert_eq!(responses, bodies.len() + 1, "{parts:?}: {text}");
}

#[tokio::test]
async fn two_lengths_are_refused_in_every_request_of_a_packet() {
    for (good, bodies) in GOOD {
        for (bad, refusal) in BAD {
            let text = format!("{good}POST /bad HTTP/1.1\r\n{bad}{SMUGGLED}");
            assert_refused(&[&text], bodies, refusal).await;
        }
    }
}

#[tokio::test]
async fn two_lengths_are_refused_however_the_requests_are_divided() {
    for (good, bodies) in GOOD {
        let (bad, refusal) = BAD[0];
        let text = format!("{good}POST /bad HTTP/1.1\r\n{bad}");
        for middle in 1..text.len() {
            let parts = [&text[..middle], &text[middle..]];
            assert_refused(&parts, bodies, refusal).await;
        }
    }
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_one_after_the_other() {
    let mut client = Client::new(limits()).await;
    let text: String = GOOD.iter().map(|(text, _)| *text).collect();
    let bodies: Vec<_> = GOOD
        .iter()
        .flat_map(|(_, bodies)| *bodies)
        .copied()
        .collect();
    for _ in 0..3 {
        client.write(&text.repeat(20)).await;
        client.expect(&bodies.repeat(20)).await;
    }
}
