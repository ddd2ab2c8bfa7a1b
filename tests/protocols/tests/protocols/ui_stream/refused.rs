//! Requests that are refused before the agent is called.

use ppio::{AgentRuntimeApp, Error, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::request;
use crate::support::{Agent, config};

/// The status, the headers and the body.
type Case<'a> = (u16, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_gets_an_error_chunk() {
    let small = |_: Value| async { Ok::<_, Error>("unused") };
    let app = AgentRuntimeApp::builder()
        .config(config().max_request_size(ppio::ByteSize::new(8 << 10)))
        .entrypoint(small)
        .build();
    let agent = Agent::start(app.unwrap()).await;
    let valid = request("c", "hi").to_string();
    let deep = format!(
        r#"{{"id":"c","messages":[],"x":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let huge = valid.replace("hi", &"x".repeat(9 << 10));
    let json_type = ("content-type", "application/json");
    let cases: [Case<'_>; 11] = [
        (400, &[json_type], "{"),
        (400, &[json_type], &valid[..valid.len() / 2]),
        (400, &[json_type], &deep),
        (422, &[json_type], "[]"),
        (422, &[json_type], r#"{"messages":[]}"#),
        (
            422,
            &[json_type],
            r#"{"id":"c","messages":[],"trigger":"sing"}"#,
        ),
        (
            422,
            &[json_type],
            r#"{"id":"c","messages":[{"id":"1","role":"tool","parts":[]}]}"#,
        ),
        (
            422,
            &[json_type],
            r#"{"id":"c","messages":[{"id":"1","role":"user","content":"old"}]}"#,
        ),
        (413, &[json_type], &huge),
        (415, &[("content-type", "text/plain")], &valid),
        (
            403,
            &[json_type, ("origin", "https://evil.example")],
            &valid,
        ),
    ];
    for (status, headers, body) in cases {
        let answer = agent.send("POST", "/api/chat", headers, body).await;
        let found = answer.status();
        let error = answer.json().await;
        assert_eq!(found, status, "{error}");
        assert_eq!(error["type"], "error", "{error}");
        assert!(error["errorText"].is_string(), "{error}");
    }
    for (status, request) in [
        (421, "POST /api/chat HTTP/1.1\r\nhost: evil.example"),
        (421, "GET /api/chat/c/stream HTTP/1.1\r\nhost: evil.example"),
        (405, "GET /api/chat HTTP/1.1\r\nhost: localhost"),
        (405, "GET /api/chat/c/stop HTTP/1.1\r\nhost: localhost"),
        (405, "POST /api/chat/c/stream HTTP/1.1\r\nhost: localhost"),
        (
            403,
            "POST /api/chat/c/stop HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example",
        ),
    ] {
        let mut socket = tokio::net::TcpStream::connect(agent.address).await.unwrap();
        let request = format!("{request}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        assert!(
            answer.contains(r#"{"type":"error","errorText":"#),
            "{request}: {answer}"
        );
    }
    for path in [
        "/api/chat/",
        "/api/chat/c",
        "/api/chat//stream",
        "/api/chat/c/d/stream",
    ] {
        let answer = agent.send("GET", path, &[], "").await;
        assert_eq!(answer.status(), 404, "{path}");
    }
}
