//! Requests that are refused before the agent is called.

use std::net::SocketAddr;

use ppio::{AgentRuntimeApp, Error, Value};

use super::input;
use crate::support::{Agent, config};

/// The status, the code, the headers and the body.
type Case<'a> = (u16, &'a str, &'a [(&'a str, &'a str)], &'a str);

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_run_is_an_http_error() {
    let small = |_: Value| async { Ok::<_, Error>("unused") };
    let app = AgentRuntimeApp::builder()
        .config(config().max_request_size(ppio::ByteSize::new(8 << 10)))
        .entrypoint(small)
        .build();
    let agent = Agent::start(app.unwrap()).await;
    let valid = input("r", "hi").to_string();
    let deep = valid.replace("{}", &format!("{}1{}", "[".repeat(200), "]".repeat(200)));
    let huge = valid.replace("hi", &"x".repeat(9 << 10));
    let json_type = ("content-type", "application/json");
    let cases: [Case<'_>; 12] = [
        (400, "InvalidJson", &[json_type], "{"),
        (400, "InvalidJson", &[json_type], &valid[..valid.len() / 2]),
        (400, "InvalidJson", &[json_type], &deep),
        (422, "ValidationError", &[json_type], "[]"),
        (
            422,
            "ValidationError",
            &[json_type],
            r#"{"threadId":"t","messages":[]}"#,
        ),
        (
            422,
            "ValidationError",
            &[json_type],
            r#"{"threadId":7,"runId":"r","messages":[]}"#,
        ),
        (
            422,
            "ValidationError",
            &[json_type],
            r#"{"threadId":"t","runId":"r","messages":[{"id":"1","role":"king","content":""}]}"#,
        ),
        (
            422,
            "ValidationError",
            &[json_type],
            r#"{"threadId":"t","runId":"r","messages":[],"resume":[{"status":"resolved"}]}"#,
        ),
        (413, "RequestTooLarge", &[json_type], &huge),
        (
            415,
            "UnsupportedMediaType",
            &[("content-type", "text/plain")],
            &valid,
        ),
        (
            403,
            "OriginNotAllowed",
            &[json_type, ("origin", "https://evil.example")],
            &valid,
        ),
        (
            400,
            "BadRequest",
            &[json_type, ("ppio-on-disconnect", "stop")],
            &valid,
        ),
    ];
    for (status, code, headers, body) in cases {
        let answer = agent.send("POST", "/ag-ui", headers, body).await;
        let found = answer.status();
        let error = answer.json().await;
        assert_eq!(found, status, "{error}");
        assert_eq!(error["type"], "RUN_ERROR", "{error}");
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].is_string(), "{error}");
    }
    for (status, code, method, host) in [
        (421, "HostNotAllowed", "POST", "evil.example"),
        (405, "MethodNotAllowed", "GET", "localhost"),
    ] {
        let error = send_with_host(agent.address, method, host).await;
        assert!(error.starts_with(&format!("HTTP/1.1 {status} ")), "{error}");
        let expected = r#""type":"RUN_ERROR""#;
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&format!(r#""code":"{code}""#)), "{error}");
    }
}

/// Sends a request with this `Host` header and returns the raw answer.
async fn send_with_host(address: SocketAddr, method: &str, host: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /ag-ui HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}
