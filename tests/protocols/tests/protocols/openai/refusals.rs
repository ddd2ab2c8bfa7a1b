//! Refused requests: each is answered with an error in the form of `OpenAI`'s API.

use std::process::Command;

use ppio_test_support::AgentProcess;
use ppio_test_support::call::send_to;
use serde_json::{Value, json};

use super::{error, send, start, tool};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// A request body, and the status, the code and a part of the message of its error.
type Refused = (String, u16, &'static str, &'static str);

/// Returns a body with additional members.
fn with(mut body: Value, members: &Value) -> String {
    let further = members.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(further);
    body.to_string()
}

async fn assert_refused(path: &str, all: Vec<Refused>) {
    let agent = start();
    let headers = [("content-type", "application/json")];
    for (body, status, code, text) in all {
        let answer = send_to(agent.addr(), "POST", path, &headers, body.clone()).await;
        let message = error(answer, status, code).await;
        assert!(message.contains(text), "{body}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_completion_request_is_explained() {
    let user = json!({"messages": [{"role": "user", "content": "hello"}]});
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = user
        .to_string()
        .replacen('{', &format!(r#"{{"x":{deep},"#), 1);
    let message = |message: Value| json!({"messages": [message]}).to_string();
    let with = |members: Value| with(user.clone(), &members);
    let (json, type_error, parameter) = ("InvalidJson", "ValidationError", "UnsupportedParameter");
    let all = vec![
        (String::new(), 400, json, "empty"),
        (r#"{"messages":"#.to_owned(), 400, json, "line 1"),
        (deep, 400, json, "recursion limit"),
        ("[]".to_owned(), 422, type_error, "struct CompletionRequest"),
        ("{}".to_owned(), 422, type_error, "`messages`"),
        (
            r#"{"messages":[]}"#.to_owned(),
            422,
            type_error,
            "`messages`",
        ),
        (
            message(json!({"role": "wizard"})),
            422,
            type_error,
            "`messages[0].role`",
        ),
        (
            message(json!({"role": "user", "content": 7})),
            422,
            type_error,
            "`messages[0].content`",
        ),
        (with(json!({"n": 2})), 400, parameter, "`n` is 2"),
        (
            with(json!({"modalities": ["text", "audio"]})),
            400,
            parameter,
            "`modalities`",
        ),
        (
            with(json!({"tools": [tool(), {"type": "web_search"}]})),
            400,
            parameter,
            "`tools[1]`",
        ),
        (
            with(json!({"tools": [{"type": "function"}]})),
            422,
            type_error,
            "`tools[0]`",
        ),
        (with(json!({"stream": "yes"})), 422, type_error, "`stream`"),
    ];
    assert_refused(CHAT, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_response_request_is_explained() {
    let with = |members: Value| with(json!({"input": "hello"}), &members);
    let (type_error, parameter) = ("ValidationError", "UnsupportedParameter");
    let all = vec![
        ("{}".to_owned(), 422, type_error, "`input`"),
        (with(json!({"input": []})), 422, type_error, "`input`"),
        (with(json!({"input": 7})), 422, type_error, "`input`"),
        (
            with(json!({"input": [{"role": "wizard", "content": ""}]})),
            422,
            type_error,
            "`input[0].role`",
        ),
        (
            with(json!({"tools": [{"type": "mcp"}]})),
            400,
            parameter,
            "\"mcp\"",
        ),
        (
            with(json!({"tools": [{"type": "function"}]})),
            422,
            type_error,
            "`tools[0]`",
        ),
        (
            with(json!({"prompt": {"id": "p"}})),
            400,
            parameter,
            "`prompt`",
        ),
        (
            with(json!({"background": true, "store": false})),
            400,
            parameter,
            "`store`",
        ),
        (
            with(json!({"conversation": 7})),
            422,
            type_error,
            "`conversation`",
        ),
        (
            with(json!({"previous_response_id": "resp_x"})),
            404,
            "ResponseNotFound",
            "\"resp_x\"",
        ),
    ];
    assert_refused(RESPONSES, all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_runtime_refuses_gets_an_openai_error() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent")))
        .env("PPIO_AGENT_MAX_REQUEST_SIZE", "1KiB")
        .start();
    let body = json!({"messages": [{"role": "user", "content": "hello"}], "input": "hello"});
    let body = body.to_string();
    let large = body.replace("hello", &"x".repeat(2048));
    let json = ("content-type", "application/json");
    for path in [CHAT, RESPONSES] {
        for (headers, body, status, code) in [
            (
                &[json, ("host", "evil.example")][..],
                &body,
                421,
                "HostNotAllowed",
            ),
            (
                &[json, ("origin", "https://evil.example")],
                &body,
                403,
                "OriginNotAllowed",
            ),
            (
                &[("content-type", "text/plain")],
                &body,
                415,
                "UnsupportedMediaType",
            ),
            (
                &[json, ("content-encoding", "gzip")],
                &body,
                415,
                "UnsupportedMediaType",
            ),
            (&[json], &large, 413, "RequestTooLarge"),
            (
                &[json, ("ppio-on-disconnect", "perhaps")],
                &body,
                400,
                "BadRequest",
            ),
        ] {
            let answer = raw(agent.addr(), path, headers, body).await;
            assert_eq!(answer.0, status, "{headers:?}: {}", answer.1);
            assert_eq!(answer.1["error"]["code"], code, "{headers:?}: {}", answer.1);
        }
    }
    for (method, path) in [
        ("GET", CHAT),
        ("DELETE", RESPONSES),
        ("POST", "/v1/models"),
        ("PUT", "/v1/responses/resp_x"),
        ("GET", "/v1/responses/resp_x/cancel"),
    ] {
        let answer = send(agent.addr(), method, path, "").await;
        assert!(answer.headers().contains_key("allow"), "{method} {path}");
        error(answer, 405, "MethodNotAllowed").await;
    }
    for (method, path) in [
        ("GET", "/v1/responses/resp_x"),
        ("GET", "/v1/responses/x"),
        ("DELETE", "/v1/responses/resp_x"),
        ("POST", "/v1/responses/resp_x/cancel"),
    ] {
        let answer = send(agent.addr(), method, path, "").await;
        error(answer, 404, "ResponseNotFound").await;
    }
}

/// Sends a request with these headers, which may replace the default `host`.
async fn raw(
    agent: std::net::SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Value) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut head = vec![
        format!("POST {path} HTTP/1.1"),
        "connection: close".to_owned(),
        format!("content-length: {}", body.len()),
    ];
    if headers.iter().all(|(name, _)| *name != "host") {
        head.push(format!("host: {agent}"));
    }
    head.extend(
        headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}")),
    );
    let head = head.join("\r\n") + "\r\n\r\n";
    let exchange = async {
        let mut socket = tokio::net::TcpStream::connect(agent).await?;
        socket.write_all(head.as_bytes()).await?;
        socket.write_all(body.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = ppio_test_support::with_timeout("an answer", exchange)
        .await
        .unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}
