//! The output of an agent: the start-up line, and a log whose lines contain the id of their
//! request.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use ppio_test_support::{
    AgentLauncher, AgentProcess, call, eventually, eventually_blocking, eventually_some,
    with_timeout,
};
use serde_json::{Value, json};

const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id";
/// The trace id of a caller.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn logging() -> AgentLauncher {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_logging-agent")))
}

/// Returns the whole log once it contains the message `last`.
async fn lines_until(agent: &AgentProcess, last: &str) -> Vec<Value> {
    eventually_some(&format!("{last:?} in the log"), async || {
        let log = agent.stderr();
        let lines = log.lines().map(|line| {
            let line = serde_json::from_str::<Value>(line);
            line.unwrap_or_else(|error| panic!("{error} in\n{log}"))
        });
        let lines: Vec<Value> = lines.collect();
        let is_last = |line: &Value| line["message"] == last;
        lines.iter().any(is_last).then_some(lines)
    })
    .await
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect()
}

/// Starts the agent, calls it once and returns its log.
async fn log_of(what: &str, headers: &[(&str, &str)], body: &Value) -> Vec<Value> {
    let agent = logging().start();
    let answer = call::invoke_with(&agent, headers, body).await;
    assert_eq!(
        answer.status(),
        if what.ends_with("later") { 200 } else { 500 }
    );
    answer.text().await;
    lines_until(&agent, "at the end").await
}

#[test]
fn the_only_line_on_standard_output_is_the_url() {
    for (host, port) in [
        ("127.0.0.1", None),
        ("::1", None),
        ("[::1]", None),
        ("127.0.0.2", None),
        ("0.0.0.0", None),
        ("::", None),
        ("127.0.0.1", Some("0")),
    ] {
        let mut launcher = AgentProcess::example("hello").env("PPIO_AGENT_HOST", host);
        if let Some(port) = port {
            launcher = launcher.env("PPIO_AGENT_PORT", port);
        }
        let agent = launcher.spawn();
        eventually_blocking("a line", || agent.stdout().ends_with('\n'));
        let line = agent.stdout();
        let urls = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap();
        // The bound address and, if that is a wildcard, a URL to open.
        let (bound, open) = urls.split_once(", open http://").unwrap_or((urls, urls));
        let bound: SocketAddr = bound.parse().unwrap();
        let open: SocketAddr = open.parse().unwrap();
        let host: IpAddr = host.trim_matches(['[', ']']).parse().unwrap();
        assert_eq!(bound.ip(), host);
        assert_eq!(
            open.ip().is_loopback(),
            !open.ip().is_unspecified(),
            "{line}"
        );
        assert_eq!(open == bound, !host.is_unspecified(), "{line}");
        assert_eq!(open.port(), bound.port());
        assert!(bound.port() == agent.addr().port() || port.is_some() && bound.port() != 0);
        std::net::TcpStream::connect(open).unwrap();
        let mut agent = agent;
        agent.terminate();
        assert!(agent.wait(Duration::from_secs(20)).success());
        assert_eq!(agent.stdout(), line);
    }
}

/// The output has been closed by its reader, as in `agent | head -1` or when a supervisor has
/// ended.
#[tokio::test]
async fn an_agent_serves_when_its_output_has_no_reader() {
    // Writes until the reader has closed the pipe, and then executes the agent.
    let script = r#"(trap "" PIPE; while echo; do :; done 2>/dev/null; exec "$0") | true"#;
    let agent = AgentProcess::command(Command::new("sh"))
        .arg("-c")
        .arg(script)
        .arg(ppio_test_support::example_binary("hello"))
        .start();
    let answer = call::invoke(&agent, &json!({})).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(agent.stderr(), "");
}

#[tokio::test]
async fn every_line_of_an_invocation_has_its_ids() {
    let headers = [
        ("x-request-id", "r-1"),
        (SESSION, "s-1"),
        ("traceparent", PARENT),
    ];
    for (what, story) in [
        (
            "fail",
            &["invocation failed", "on the way out", "at the end"][..],
        ),
        (
            "panic",
            &[
                "panic: boom",
                "invocation failed",
                "on the way out",
                "at the end",
            ],
        ),
        (
            "fail later",
            &[
                "on the way out",
                "in an iterator",
                "in an iterator",
                "invocation failed",
                "at the end",
            ],
        ),
        (
            "panic later",
            &[
                "on the way out",
                "in an iterator",
                "in an iterator",
                "panic: boom",
                "invocation failed",
                "at the end",
            ],
        ),
        (
            "later",
            &[
                "on the way out",
                "in an iterator",
                "in an iterator",
                "in an iterator",
                "at the end",
            ],
        ),
    ] {
        let lines = log_of(what, &headers, &json!({ "do": what })).await;
        let begin = [
            "on the way in",
            "in the function",
            "in a task",
            "in a thread",
        ];
        let mut expected = [&begin, story].concat();
        let mut found = messages(&lines);
        // The first item of a stream may be logged before or after the middleware forwards the
        // response headers, so the order is not compared.
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{what}");
        for line in &lines {
            assert_eq!(line["request_id"], "r-1", "{line}");
            assert_eq!(line["session_id"], "s-1", "{line}");
            assert_eq!(line["trace_id"], TRACE, "{line}");
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
            assert!(line["level"].is_string(), "{line}");
            assert!(line["target"].is_string(), "{line}");
        }
    }
}

#[tokio::test]
async fn a_session_id_in_the_body_is_on_every_line_after_the_body_is_read() {
    let headers = [("x-request-id", "r-1")];
    let body = json!({ "do": "fail", "sandbox_id": "s-1" });
    let lines = log_of("fail", &headers, &body).await;
    assert_eq!(lines[0]["message"], "on the way in");
    assert_eq!(lines[0]["session_id"], Value::Null);
    for line in &lines[1..] {
        assert_eq!(line["session_id"], "s-1", "{line}");
    }
    for line in &lines {
        assert_eq!(line["request_id"], "r-1", "{line}");
    }
}

/// Two requests with the same request id start two runs; each run has the id that its caller
/// receives.
#[tokio::test]
async fn a_run_is_found_in_the_log_by_its_id() {
    let agent = logging().start();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let headers = [("x-request-id", "r-1"), ("prefer", "respond-async")];
        let accepted = call::invoke_with(&agent, &headers, &json!({ "do": "later" })).await;
        assert_eq!(accepted.status(), 202);
        let id = accepted.headers()["x-request-id"].to_str().unwrap();
        ids.push(id.to_owned());
        eventually("the run has ended", || {
            agent.stderr().matches("at the end").count() == ids.len()
                && agent.stderr().matches("in an iterator").count() == 3 * ids.len()
        })
        .await;
    }
    assert_eq!(ids[0], "r-1");
    assert_ne!(ids[1], "r-1");
    let lines = lines_until(&agent, "in an iterator").await;
    for id in ids {
        let of_run = lines.iter().filter(|line| line["request_id"] == *id);
        let of_run: Vec<_> = of_run.filter_map(|line| line["message"].as_str()).collect();
        for message in ["in the function", "in a task", "in a thread"] {
            assert!(
                of_run.contains(&message),
                "{message:?} of {id} in {of_run:?}"
            );
        }
        let items = of_run
            .iter()
            .filter(|message| **message == "in an iterator");
        assert_eq!(items.count(), 3, "{id}");
    }
}

/// No credentials in headers, URLs and keys are logged, whatever the level and the outcome.
#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    // Method, path, headers, body, status.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16);
    let agent = logging()
        .env("PPIO_AGENT_LOG", "trace")
        .env("PPIO_AGENT_DEBUG", "true")
        .start();
    let secrets = [
        ("authorization", "Bearer SECRET-1"),
        ("proxy-authorization", "Basic SECRET-2"),
        ("x-api-key", "SECRET-3"),
        ("x-access-token", "SECRET-4"),
        ("cookie", "session=SECRET-5"),
        ("x-amzn-bedrock-agentcore-runtime-custom-key", "SECRET-6"),
        ("baggage", "key=SECRET-7"),
    ];
    let json = ("content-type", "application/json");
    let key = ("idempotency-key", "SECRET-8");
    let long_key = format!("SECRET-9{}", "x".repeat(300));
    let long_key = ("idempotency-key", long_key.as_str());
    let page = ("origin", "https://elsewhere.example");
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "SECRET-10"),
        ("sec-websocket-protocol", "token.SECRET-11"),
    ];
    let cases: &[Case<'_>] = &[
        ("POST", "/invocations", &[json], r#"{"do":"nothing"}"#, 200),
        ("POST", "/invocations", &[json], r#"{"do":"fail"}"#, 500),
        ("POST", "/invocations", &[json], r#"{"do":"panic"}"#, 500),
        ("POST", "/invocations", &[json], "nope", 400),
        ("POST", "/invocations", &[json], "", 400),
        (
            "POST",
            "/invocations",
            &[("content-type", "text/plain")],
            "{}",
            415,
        ),
        ("POST", "/invocations", &[json, page], "{}", 403),
        (
            "POST",
            "/invocations",
            &[json, key],
            r#"{"do":"nothing"}"#,
            200,
        ),
        (
            "POST",
            "/invocations",
            &[json, key],
            r#"{"do":"nothing"}"#,
            200,
        ),
        (
            "POST",
            "/invocations",
            &[json, key],
            r#"{"do":"later"}"#,
            422,
        ),
        ("POST", "/invocations", &[json, long_key], "{}", 400),
        ("DELETE", "/invocations/none", &[], "", 404),
        ("GET", "/invocations", &[], "", 200),
        ("GET", "/ping", &[], "", 200),
        ("GET", "/metrics", &[], "", 200),
        ("GET", "/nope", &[], "", 404),
        ("GET", "/ws", &upgrade, "", 400),
    ];
    for (method, path, headers, body, status) in cases {
        let all = [*headers, &secrets[..]].concat();
        let path = format!("{path}?token=SECRET-12&api_key=SECRET-13");
        let answer = call::send(&agent, method, &path, &all, (*body).to_owned()).await;
        assert_eq!(
            answer.status(),
            *status,
            "{method} {path} {headers:?} {body}"
        );
        answer.text().await;
    }
    // This request is not valid HTTP.
    let mut stream = tokio::net::TcpStream::connect(agent.addr()).await.unwrap();
    let bytes = b"GET /?token=SECRET-14 HTTP/1.1\r\nauthorization SECRET-15\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, bytes)
        .await
        .unwrap();
    // After its answer, the agent waits for more bytes until the client closes the connection.
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer);
    with_timeout("the answer", read).await.unwrap();
    drop(stream);
    eventually("the connection ends", || {
        agent.stderr().contains("connection ended early")
    })
    .await;
    assert!(!agent.stderr().contains("SECRET"), "{}", agent.stderr());
}

#[tokio::test]
async fn a_request_cannot_forge_a_log_line() {
    let session = "s\"}\n{\"level\":\"ERROR\",\"message\":\"forged";
    let body = json!({ "do": "fail", "sandbox_id": session });
    let lines = log_of("fail", &[], &body).await;
    // Each line has been parsed as JSON, and one of them contains the whole session id.
    let failed = lines
        .iter()
        .find(|line| line["message"] == "invocation failed")
        .unwrap();
    assert_eq!(failed["session_id"], session);
    assert!(lines.iter().all(|line| line["message"] != "forged"));
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_ids() {
    let lines = log_of("fail", &[], &json!({ "do": "fail" })).await;
    let failed: Vec<_> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    let [failed] = failed[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(failed["message"], "invocation failed");
    assert_eq!(failed["error"], "no luck");
    assert_eq!(failed["error_type"], "AgentError");
    assert_eq!(failed["status"], 500);
    // The duration is fractional, because most agents answer within a millisecond.
    let duration = failed["duration_ms"].as_f64().unwrap();
    assert!(duration > 0.0, "{failed}");
}

#[tokio::test]
async fn errors_of_callers_are_logged_only_at_debug() {
    let quiet = logging().start();
    let loud = logging().env("PPIO_AGENT_DEBUG", "true").start();
    let json = [("content-type", "application/json"), (SESSION, "s-1")];
    for agent in [&quiet, &loud] {
        for (body, status) in [("nope", 400), (&*"x".repeat(11 << 20), 413)] {
            let answer = call::send(agent, "POST", "/invocations", &json, body.to_owned()).await;
            assert_eq!(answer.status(), status);
        }
        call::get(agent, "/nope").await.error(404, "NotFound").await;
        call::invoke(agent, &json!({ "do": "fail" }))
            .await
            .text()
            .await;
    }
    let lines = lines_until(&quiet, "invocation failed").await;
    assert!(!messages(&lines).contains(&"invocation refused"));
    assert!(!messages(&lines).contains(&"in detail"));
    let lines = lines_until(&loud, "invocation failed").await;
    let refused = lines
        .iter()
        .filter(|line| line["message"] == "invocation refused");
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), 2, "{lines:?}");
    // A request that is refused before its body is read is logged with its session.
    assert!(refused.iter().all(|line| line["session_id"] == "s-1"));
    assert!(messages(&lines).contains(&"in detail"));
}

/// Each invocation is logged as one line if `PPIO_AGENT_LOG` includes invocations; by default only
/// failures are logged.
#[tokio::test]
async fn every_invocation_is_logged_if_the_level_includes_it() {
    let said = logging().start();
    let everything = logging().env("PPIO_AGENT_LOG", "info").start();
    let these = logging()
        .env("RUST_LOG", "off,ppio::invocation=info")
        .start();
    for agent in [&said, &everything, &these] {
        let answer = call::invoke(agent, &json!({ "do": "nothing" })).await;
        assert_eq!(answer.status(), 200);
        answer.text().await;
        let answer = call::send(agent, "POST", "/invocations", &[], "nope".to_owned()).await;
        assert_eq!(answer.status(), 400);
        answer.text().await;
        call::invoke(agent, &json!({ "do": "fail" }))
            .await
            .text()
            .await;
    }
    let of_invocations = async |agent| {
        let lines = lines_until(agent, "invocation failed").await;
        let target = |line: &Value| line["target"] == "ppio::invocation";
        lines.into_iter().filter(target).collect::<Vec<_>>()
    };
    let failed = of_invocations(&said).await;
    assert_eq!(messages(&failed), ["invocation failed"]);
    for agent in [&everything, &these] {
        let lines = of_invocations(agent).await;
        let found: Vec<_> = lines
            .iter()
            .map(|line| (line["level"].as_str(), line["status"].as_u64()))
            .collect();
        let info = Some("INFO");
        assert_eq!(
            found,
            [
                (info, Some(200)),
                (info, Some(400)),
                (Some("ERROR"), Some(500))
            ]
        );
        let is_measured = |line: &Value| line["duration_ms"].as_f64() > Some(0.0);
        assert!(lines.iter().all(is_measured), "{lines:?}");
        assert!(lines.iter().all(|line| line["request_id"].is_string()));
    }
}

/// On a terminal the log is text and not JSON.
#[tokio::test]
async fn the_log_on_a_terminal_is_text() {
    // `script`, from the package util-linux (bsdutils on Debian), gives the agent a terminal.
    let agent = AgentProcess::command(Command::new("script"))
        .arg("-qec")
        .arg(env!("CARGO_BIN_EXE_logging-agent"))
        .arg("/dev/null")
        .env("NO_COLOR", "1")
        .start();
    let headers = [("x-request-id", "r-1"), (SESSION, "s-1")];
    let answer = call::invoke_with(&agent, &headers, &json!({ "do": "fail" })).await;
    assert_eq!(answer.status(), 500);
    let line = eventually_some("the log on the terminal", async || {
        let shown = agent.stdout();
        let mut lines = shown.lines();
        let line = lines.find(|line| line.contains("invocation failed"));
        line.map(str::to_owned)
    })
    .await;
    assert!(
        line.contains("ERROR ppio::invocation: invocation failed error=no luck"),
        "{line}"
    );
    assert!(
        line.trim_end()
            .ends_with("request_id=\"r-1\" session_id=\"s-1\""),
        "{line}"
    );
    assert!(!line.contains('\u{1b}'), "{line}");
}

/// With `run` or `start_logging`, an agent built from closures logs as an annotated agent does; a
/// server leaves logging to its program. In each case the text of a panic is only on standard
/// error.
#[tokio::test]
async fn an_agent_from_closures_writes_the_same_log() {
    for (start, debug, has_log) in [
        ("run", "false", true),
        ("run", "true", true),
        ("serve with a log", "false", true),
        ("serve", "false", false),
        ("serve", "true", false),
    ] {
        let command = Command::new(env!("CARGO_BIN_EXE_builder-agent"));
        let launcher = AgentProcess::command(command)
            .env("START", start)
            .env("PPIO_AGENT_DEBUG", debug);
        let agent = launcher.start();
        let headers = [("x-request-id", "r-1")];
        let failed = call::invoke_with(&agent, &headers, &json!({ "fail": "no luck" })).await;
        assert_eq!(failed.error(500, "AgentError").await, "no luck");
        let panicked = call::invoke_with(&agent, &headers, &json!({ "fail": "panic" })).await;
        let text = panicked.error(500, "Panic").await;
        assert_eq!(
            text,
            "the agent panicked; its log has the reason at request id r-1"
        );

        if !has_log {
            // The panic hook of the standard library prints the panic.
            eventually("the panic in the log", || {
                agent.stderr().contains("password=1")
            })
            .await;
            assert!(!agent.stderr().contains("invocation failed"));
            continue;
        }
        let lines = lines_until(&agent, "panic: password=1").await;
        let panic = lines
            .iter()
            .find(|line| line["message"] == "panic: password=1")
            .unwrap();
        let place = panic["place"].as_str().unwrap();
        assert!(place.starts_with("tests/agents/builder.rs:"), "{place}");
        let failed = lines
            .iter()
            .find(|line| line["error"] == "no luck")
            .unwrap();
        assert_eq!(failed["request_id"], "r-1");
        assert_eq!(failed["status"], 500);
    }
}

/// A response that the agent's code has built is logged according to its status, as an error is.
#[tokio::test]
async fn a_response_is_logged_by_its_status() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_builder-agent")))
        .env("START", "run")
        .env("PPIO_AGENT_LOG", "info")
        .start();
    for status in [201, 404, 503] {
        let answer = call::invoke(&agent, &json!({ "status": status })).await;
        assert_eq!(answer.status(), status);
        answer.text().await;
    }
    let lines = lines_until(&agent, "invocation failed").await;
    let invocations = lines
        .iter()
        .filter(|line| line["target"] == "ppio::invocation");
    let logged: Vec<_> = invocations
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (text("level"), text("message"), line["status"].as_u64())
        })
        .collect();
    assert_eq!(
        logged,
        [
            ("INFO", "invocation finished", Some(201)),
            ("INFO", "invocation refused", Some(404)),
            ("ERROR", "invocation failed", Some(503)),
        ]
    );
}

#[tokio::test]
async fn the_agentcore_format_has_the_field_names_of_agentcore() {
    let agent = logging()
        .env("PPIO_AGENT_LOG_FORMAT", "agentcore")
        .env("RUST_BACKTRACE", "1")
        .start();
    let headers = [("x-request-id", "r-1"), (SESSION, "s-1")];
    for what in ["fail", "panic"] {
        let answer = call::invoke_with(&agent, &headers, &json!({ "do": what })).await;
        assert_eq!(answer.status(), 500);
        answer.text().await;
    }
    let lines = lines_until(&agent, "panic: boom").await;
    let of = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("{message:?} in {lines:#?}"))
    };
    for (message, expected) in [
        (
            "in the function",
            json!({"level": "INFO", "logger": "logging_agent"}),
        ),
        (
            "invocation failed",
            json!({
                "level": "ERROR",
                "logger": "ppio::invocation",
                "errorType": "AgentError",
                "errorMessage": "no luck",
                "status": 500,
            }),
        ),
        ("panic: boom", json!({"level": "ERROR"})),
    ] {
        let line = of(message);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(line[name], *value, "{name} of {message:?}");
        }
        let timestamp = line["timestamp"].as_str().unwrap();
        humantime::parse_rfc3339(timestamp).unwrap();
        assert_eq!(line["requestId"], "r-1", "{message:?}");
        assert_eq!(line["sessionId"], "s-1", "{message:?}");
        for old in ["target", "error", "error_type", "request_id", "session_id"] {
            assert_eq!(line.get(old), None, "{old} of {message:?}");
        }
    }
    let stack = of("panic: boom")["stackTrace"].as_array().unwrap();
    let calls_it = |frame: &Value| frame.as_str().is_some_and(|it| it.contains("agent"));
    assert!(stack.iter().any(calls_it), "{stack:#?}");
}

#[tokio::test]
async fn each_log_format_without_a_terminal() {
    for (format, begins) in [("text", "20"), ("json", "{\"timestamp\":"), ("auto", "{\"")] {
        let agent = logging().env("PPIO_AGENT_LOG_FORMAT", format).start();
        call::invoke(&agent, &json!({ "do": "fail" })).await;
        let line = eventually_some("a line", async || {
            let log = agent.stderr();
            let mut lines = log.lines();
            let line = lines.find(|line| line.contains("invocation failed"));
            line.map(str::to_owned)
        })
        .await;
        assert!(line.starts_with(begins), "{format}: {line}");
        assert!(!line.contains('\u{1b}'), "{format}: {line}");
    }
}
