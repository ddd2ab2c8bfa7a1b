//! The format of a response is taken from its `ppio-response-format` header. Without this header,
//! only an exact envelope counts as an envelope.

use std::time::Duration;

use ppio_agent_client::{Error, InvocationOutput, InvocationRequest, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use ppio_test_support::with_timeout;
use serde_json::{Value, json};

use crate::clients::client_of;

const INVOKE: &str = "agent POST /invocations";
const FORMAT: &str = "ppio-response-format";

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    let session = client_of(platform).create_session("tmpl_1").await;
    session.expect("set up")
}

fn reply(format: Option<&str>, body: &Value) -> Reply {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(format.map(|format| (FORMAT, format)));
    Reply::with_headers(200, &headers, &body.to_string())
}

fn envelope() -> Value {
    json!({"result": 1, "status": "success", "duration": 0.1, "metadata": null, "error": null})
}

/// Returns the result, read in each of the possible ways.
async fn results(
    session: &SandboxSession,
    platform: &ScriptedPlatform,
    reply: Reply,
) -> [Value; 4] {
    for _ in 0..4 {
        platform.script(INVOKE, reply.clone());
    }
    let InvocationOutput::Value(output) = session.invoke("go").output().await.unwrap() else {
        panic!("a value");
    };
    let mut stream = session.invoke("go").stream().await.unwrap();
    [
        session
            .invoke("go")
            .await
            .unwrap()
            .result
            .unwrap_or_default(),
        session.invoke("go").json().await.unwrap(),
        output.result.unwrap_or_default(),
        stream.next().await.expect("an item").unwrap(),
    ]
}

#[tokio::test]
async fn the_envelope_is_asked_for_and_the_deadline_is_sent() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let request = || InvocationRequest::prompt("hi").with_timeout(30);
    session.invoke("hi").await.unwrap();
    session.invoke(request()).await.unwrap();
    session.invoke(json!({"timeout": 30})).await.unwrap();
    let late = session.invoke(request()).timeout(Duration::from_secs(5));
    late.header("ppio-response-format", "value").await.unwrap();
    let sent: Vec<_> = platform
        .requests(INVOKE)
        .iter()
        .map(|request| [request.header(FORMAT), request.header("ppio-timeout")].map(str::to_owned))
        .collect();
    assert_eq!(
        sent,
        [
            ["envelope", ""],
            ["envelope", "30"],
            // In another type, `timeout` may be the agent's own field.
            ["envelope", ""],
            ["value", "30"],
        ]
    );
}

#[tokio::test]
async fn the_announced_format_determines_how_a_response_is_read() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for value in [
        envelope(),
        json!({"status": "completed", "duration": 12, "result": "report.pdf"}),
        json!({"status": "success", "result": 1}),
        json!({"result": null, "status": "error", "duration": 0, "error": "own"}),
    ] {
        let answers = results(&session, &platform, reply(Some("value"), &value)).await;
        assert_eq!(answers, [(); 4].map(|()| value.clone()));
    }
    // An envelope with fields that this version does not define, or without fields that it defines.
    for text in [
        json!({"result": 5, "status": "success", "mine": true, "tokens_used": 7}),
        json!({"result": 5}),
    ] {
        let answers = results(&session, &platform, reply(Some("envelope"), &text)).await;
        assert_eq!(answers, [(); 4].map(|()| json!(5)));
    }
    platform.script(
        INVOKE,
        reply(Some("envelope"), &json!({"status": "partial", "result": 1})),
    );
    let error = session.invoke("go").await.unwrap_err();
    assert!(matches!(error, Error::Invocation { .. }), "{error}");
    for own in [
        json!([1]),
        json!({}),
        json!({"answer": 1}),
        json!(null),
        json!({"result": 1, "duration": "long"}),
    ] {
        platform.script(INVOKE, reply(Some("envelope"), &own));
        let error = session.invoke("go").await.unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{own}: {error}");
    }
    platform.script(INVOKE, reply(Some("xml"), &envelope()));
    let error = session.invoke("go").await.unwrap_err().report().to_string();
    assert!(error.contains("xml"), "{error}");
}

#[tokio::test]
async fn without_the_header_only_an_exact_envelope_is_one() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let with = |name: &str, value: Value| {
        let mut changed = envelope();
        changed[name] = value;
        changed
    };
    for own in [
        json!({"status": "completed", "duration": 12, "result": "report.pdf"}),
        json!({"status": "success", "result": 1}),
        json!({"status": "success", "duration": "12 min", "result": 1}),
        with("pages", json!(3)),
        with("status", json!("error")),
        with("error", json!("no")),
    ] {
        let answers = results(&session, &platform, reply(None, &own)).await;
        assert_eq!(answers, [(); 4].map(|()| own.clone()));
    }
    let answers = results(&session, &platform, reply(None, &envelope())).await;
    assert_eq!(answers, [(); 4].map(|()| json!(1)));
    let failed = json!({
        "result": null, "status": "error", "duration": 0.1, "metadata": {}, "error": "no luck",
    });
    platform.script(INVOKE, reply(None, &failed));
    let error = session.invoke("go").await.unwrap_err();
    assert!(matches!(error, Error::Invocation { message, .. } if message == "no luck"));
}

#[tokio::test]
async fn an_item_that_looks_like_an_error_is_an_item_where_errors_are_named() {
    let own = json!({"error": "own", "error_type": "Own"});
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
    let events = format!("data: {own}\n\nevent: error\ndata: {{\"error\":\"the end\"}}\n\n");
    for (format, expected) in [
        ("ppio-response-format: events\r\n", vec![own.clone()]),
        ("", vec![]),
    ] {
        platform.script(INVOKE, Reply::raw(format!("{head}{format}\r\n{events}")));
        let mut stream = session.invoke("go").stream().await.unwrap();
        let mut items = Vec::new();
        let error = loop {
            match stream.next().await.expect("an error") {
                Ok(item) => items.push(item),
                Err(error) => break error,
            }
        };
        assert_eq!(items, expected);
        let text = if expected.is_empty() {
            "own"
        } else {
            "the end"
        };
        assert!(
            matches!(&error, Error::Invocation { message, .. } if message == text),
            "{error}"
        );
    }
}

/// The deadline of the request applies to the whole stream, whether the stream is silent or not.
#[tokio::test]
async fn a_stream_ends_at_the_deadline_of_the_request() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let request = InvocationRequest::prompt("hi").with_timeout(1);
    let mut stream = session.invoke(request).stream().await.unwrap();
    assert_eq!(stream.next().await.expect("an item").unwrap(), 1);
    let next = with_timeout("the deadline", stream.next()).await;
    let error = next.expect("an error").unwrap_err();
    let second = Duration::from_secs(1);
    assert!(
        matches!(error, Error::Timeout { limit, .. } if limit == second),
        "{error}"
    );
    assert!(stream.next().await.is_none());
}
