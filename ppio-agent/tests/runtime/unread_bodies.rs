//! Responses that are sent before the request body was read.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Connection, TestServer, config, get, invocation, with_timeout};
use ppio::{AgentRuntimeApp, Next, Request, Response, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

/// An agent that refuses or answers requests without reading their bodies.
async fn server() -> TestServer {
    let gate = Arc::new(Semaphore::new(0));
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(1))
        .middleware_for_all_routes(async |request: Request, next: Next| {
            match request
                .headers()
                .get("x-do")
                .map(http::HeaderValue::as_bytes)
            {
                Some(b"refuse") => {
                    let mut response = Response::new("no credentials".into());
                    *response.status_mut() = http::StatusCode::UNAUTHORIZED;
                    response
                }
                Some(b"answer") => Response::new("\"done\"".into()),
                _ => next.run(request).await,
            }
        })
        .entrypoint(move |request: Value| {
            let gate = Arc::clone(&gate);
            async move {
                if request == "hold" {
                    gate.acquire().await.expect("an open gate").forget();
                }
                request
            }
        })
        .build();
    TestServer::start(app).await
}

/// The request line and headers of requests that are answered without their bodies, each with the
/// status of the answer.
const ANSWERED_EARLY: [(&str, u16); 8] = [
    ("POST /invocations HTTP/1.1\r\nx-do: refuse\r\n", 401),
    ("POST /own HTTP/1.1\r\nx-do: answer\r\n", 200),
    ("POST /nope HTTP/1.1\r\n", 404),
    ("PUT /invocations HTTP/1.1\r\n", 405),
    (
        "POST /invocations HTTP/1.1\r\ncontent-type: text/plain\r\n",
        415,
    ),
    (
        "POST /invocations HTTP/1.1\r\norigin: https://a.example\r\n",
        403,
    ),
    (
        "POST /invocations HTTP/1.1\r\ncontent-encoding: gzip\r\n",
        415,
    ),
    ("POST /invocations HTTP/1.1\r\n", 503),
];

/// A free agent, and one that is at its concurrency limit, so that a further invocation is a 503.
struct Servers {
    free: TestServer,
    busy: TestServer,
    _running: Connection,
}

impl Servers {
    async fn start() -> Self {
        let (free, busy) = (server().await, server().await);
        let mut running = busy.connect().await;
        running.write(invocation("\"hold\"")).await;
        while busy.metric("invocations_running").await < 1 {}
        Self {
            free,
            busy,
            _running: running,
        }
    }

    /// Returns the server that answers with this status.
    fn with(&self, status: u16) -> &TestServer {
        if status == 503 {
            &self.busy
        } else {
            &self.free
        }
    }
}

async fn assert_usable(connection: &mut Connection, what: &str) {
    connection.write(get("/ping")).await;
    assert_eq!(connection.answer().await.status, 200, "{what}");
}

#[tokio::test]
async fn a_body_that_follows_the_answer_leaves_the_connection_usable() {
    let servers = Servers::start().await;
    for (head, status) in ANSWERED_EARLY {
        let mut connection = servers.with(status).connect().await;
        connection
            .write(format!(
                "{head}host: localhost\r\ncontent-length: 1000\r\n\r\n"
            ))
            .await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, status, "{head}");
        assert_eq!(answer.header("connection"), None, "{head}");
        connection.write(vec![b'x'; 1000]).await;
        assert_usable(&mut connection, head).await;
    }
}

#[tokio::test]
async fn a_body_sent_with_the_headers_leaves_the_connection_usable() {
    let servers = Servers::start().await;
    for (head, status) in ANSWERED_EARLY {
        let mut connection = servers.with(status).connect().await;
        for length in [1, 1000, 60_000, 256 * 1024] {
            let what = format!("{head} {length}");
            connection
                .write(format!(
                    "{head}host: localhost\r\ncontent-length: {length}\r\n\r\n"
                ))
                .await;
            connection.write(vec![b'x'; length]).await;
            assert_eq!(connection.answer().await.status, status, "{what}");
            assert_usable(&mut connection, &what).await;
        }
        connection
            .write(format!(
                "{head}host: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
            ))
            .await;
        for _ in 0..60 {
            connection
                .write(format!("3e8\r\n{}\r\n", "x".repeat(1000)))
                .await;
        }
        connection.write("0\r\n\r\n").await;
        assert_eq!(connection.answer().await.status, status, "{head} in chunks");
        assert_usable(&mut connection, head).await;
    }
}

/// The client writes the whole body before it reads, as blocking clients do.
#[tokio::test]
async fn a_client_that_sends_a_large_body_receives_the_answer() {
    const LENGTH: usize = 30 << 20;
    let servers = Servers::start().await;
    let body = vec![b'x'; LENGTH];
    let too_large = ("POST /invocations HTTP/1.1\r\n", 413);
    for (head, status) in ANSWERED_EARLY.into_iter().chain([too_large]) {
        for framing in [
            format!("content-length: {LENGTH}"),
            "transfer-encoding: chunked".into(),
        ] {
            let what = format!("{head} {framing}");
            let mut connection = servers.with(status).connect().await;
            connection
                .write(format!("{head}host: localhost\r\n{framing}\r\n\r\n"))
                .await;
            if framing.starts_with('t') {
                connection.write(format!("{LENGTH:x}\r\n")).await;
            }
            connection.write(&body).await;
            let answer = connection.answer().await;
            assert_eq!(answer.status, status, "{what}");
            assert_eq!(answer.header("connection"), Some("close"), "{what}");
            connection.assert_closed().await;
        }
    }
}

#[tokio::test]
async fn an_endless_body_is_not_read_further_after_the_answer() {
    let server = server().await;
    for framing in ["content-length: 999999999999", "transfer-encoding: chunked"] {
        let connection = server.connect().await;
        let (mut reader, mut writer) = connection.stream.into_split();
        let head = format!("POST /nope HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n");
        let sending = tokio::spawn(async move {
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            writer.write_all(head.as_bytes()).await.expect("a head");
            while writer.write_all(chunk.as_bytes()).await.is_ok() {}
        });
        let mut answer = Vec::new();
        // The read ends when the server closes its side, or with a reset once too much was sent.
        let _ = with_timeout("the answer", reader.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).expect("a text");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        assert!(answer.ends_with('}'), "{answer}");
        with_timeout("the end of reading", sending)
            .await
            .expect("no panic");
    }
    server.assert_alive().await;
}

/// After the answer, the client may send the body or another request, so the connection ends.
#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_connection_close() {
    let servers = Servers::start().await;
    for (head, status) in ANSWERED_EARLY {
        let mut connection = servers.with(status).connect().await;
        connection
            .write(format!(
                "{head}host: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n"
            ))
            .await;
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close"))
        );
        // A body that is sent anyway does not break the connection.
        connection.write("12345").await;
        connection.assert_closed().await;
    }
}

/// The headers are refused before all of them were read.
#[tokio::test]
async fn the_answer_to_invalid_headers_arrives() {
    let server = server().await;
    let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1 << 20));
    let broken = format!("GET / HTTP/1.1\r\nno colon\r\n\r\n{}", "b".repeat(1 << 20));
    for (head, status) in [(long, "431"), (broken, "400")] {
        let mut connection = server.connect().await;
        connection.write(head).await;
        let answer = String::from_utf8(connection.rest().await).expect("a text");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

/// Middleware may read a part of the body, and keep the body for longer than the response.
#[tokio::test]
async fn a_body_that_is_read_in_part_or_dropped_late_leaves_the_connection_usable() {
    let (late, mut bodies) = tokio::sync::mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware_for_all_routes(move |mut request: Request, next: Next| {
            let late = late.clone();
            async move {
                match request.uri().path() {
                    "/part" => {
                        use http_body_util::BodyExt as _;
                        request.body_mut().frame().await;
                        Response::new("part".into())
                    }
                    "/late" => {
                        late.send(request.into_body()).expect("a receiver");
                        Response::new("late".into())
                    }
                    _ => next.run(request).await,
                }
            }
        })
        .entrypoint(|request: Value| async move { request })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    for path in ["/part", "/late"] {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000\r\n\r\n");
        connection.write(head + &"x".repeat(1000)).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
        if path == "/late" {
            drop(bodies.recv().await.expect("a body"));
        }
        connection.write(vec![b'x'; 3000]).await;
        assert_usable(&mut connection, path).await;
    }
}

/// After a body that is broken or late, the connection cannot be read further.
#[tokio::test]
async fn a_body_that_is_cut_or_slow_ends_the_connection() {
    let app = AgentRuntimeApp::builder()
        .config(config().body_timeout(Duration::from_millis(100)))
        .entrypoint(|request: Value| async move { request })
        .build();
    let server = TestServer::start(app).await;
    for (earlier, body, status) in [
        (0, "content-length: 1000\r\n\r\nx", 408),
        (0, "transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (
            0,
            "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            400,
        ),
        (
            0,
            "transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            400,
        ),
        // The invalid request follows another one in the same packet.
        (
            1,
            "content-length: 1\r\n\r\n1POST /invocations HTTP/1.1\r\nhost: localhost\r\n\
             transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n1\r\n1\r\n0\r\n\r\n",
            400,
        ),
    ] {
        let mut connection = server.connect().await;
        connection
            .write(format!(
                "POST /invocations HTTP/1.1\r\nhost: localhost\r\n{body}"
            ))
            .await;
        for _ in 0..earlier {
            assert_eq!(connection.answer().await.status, 200);
        }
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, Some("close"))
        );
        connection.assert_closed().await;
    }
}
