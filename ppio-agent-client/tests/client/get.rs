//! GET requests to paths of the agent.

use ppio_agent_client::{Error, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::client_of;

const ROUTE: &str = "agent GET /openapi.json";
const PATH: &str = "/openapi.json?x=1";

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    client_of(platform)
        .create_session("tmpl_1")
        .await
        .expect("set up")
}

#[tokio::test]
async fn a_path_is_read_as_json_that_is_not_interpreted() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let envelope = json!({"result": 1, "status": "error", "duration": 0.5});
    for (reply, expected) in [
        (Reply::json(200, &envelope), envelope.clone()),
        (
            Reply::body(200, "application/openapi+json", "[1]"),
            json!([1]),
        ),
        (Reply::with_headers(204, &[], ""), Value::Null),
    ] {
        platform.script(ROUTE, reply);
        assert_eq!(session.get(PATH).await.expect("an answer"), expected);
    }
    let request = &platform.requests(ROUTE)[0];
    assert_eq!(request.target, PATH);
    assert_eq!(request.header("accept"), "application/json");
    assert!(!request.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_requested_again() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(ROUTE, Reply::nothing().reset());
    platform.script(ROUTE, Reply::json(200, &json!({})));
    assert_eq!(session.get(PATH).await.expect("an answer"), json!({}));
    assert_eq!(platform.count(ROUTE), 2);
}

#[tokio::test]
async fn an_error_status_or_a_body_that_is_not_json_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(ROUTE, Reply::body(404, "text/plain", "Not Found"));
    let error = session.get(PATH).await.expect_err("no document");
    let Error::Invocation {
        status: Some(404),
        message,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(message, "Not Found");

    for (reply, expected) in [
        (
            Reply::body(200, "text/html", "<p>"),
            "the content type \"text/html\", not JSON",
        ),
        (
            Reply::events().chunk("data: 1\n\n").end(),
            "the content type \"text/event-stream; charset=utf-8\", not JSON",
        ),
        (
            Reply::chunked("application/x-ndjson").chunk("1\n").end(),
            "the content type \"application/x-ndjson\", not JSON",
        ),
        (
            Reply::body(200, "application/json", "{"),
            "EOF while parsing",
        ),
    ] {
        platform.script(ROUTE, reply);
        let error = session.get(PATH).await.expect_err("no JSON");
        assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
        let text = error.report().to_string();
        assert!(
            text.starts_with("get from agent: ") && text.contains(expected),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_path_begins_with_a_slash() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let error = session.get("openapi.json").await.expect_err("no path");
    let Error::Validation { message, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(message, "\"openapi.json\" does not begin with `/`");
    assert_eq!(platform.count(ROUTE), 0);
}
