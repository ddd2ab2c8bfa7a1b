//! Requests to paths of the agent other than `/invocations`.

use std::time::Duration;

use ppio_agent_client::{Error, InvocationOutput, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::client_of;

const ROUTE: &str = "agent POST /v1/chat";
const PATH: &str = "/v1/chat?x=1";

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    client_of(platform)
        .create_session("tmpl_1")
        .await
        .expect("set up")
}

#[tokio::test]
async fn the_body_is_sent_as_it_is_with_the_headers_of_the_caller() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(ROUTE, Reply::json(200, &json!({})));
    let body = json!({"prompt": "hi", "nested": [1, null]});
    let sent = session.post(PATH, &body).header("x-of-caller", "1").await;
    sent.expect("an answer");
    let request = &platform.requests(ROUTE)[0];
    assert_eq!(request.target, PATH);
    assert_eq!(request.json(), body);
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("x-of-caller"), "1");
    assert!(request.header("accept").contains("text/event-stream"));
    assert!(!request.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_value_is_not_interpreted() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let envelope = json!({
        "result": 1, "status": "success", "duration": 0.5, "metadata": {}, "timestamp": "t",
    });
    for (reply, expected) in [
        (Reply::json(200, &envelope), envelope.clone()),
        (
            Reply::json(200, &json!({"error": "e", "status": "error"})),
            json!({"error": "e", "status": "error"}),
        ),
        (Reply::with_headers(202, &[], ""), Value::Null),
    ] {
        platform.script(ROUTE, reply);
        let output = session.post(PATH, json!({})).await.expect("an answer");
        let InvocationOutput::Value(response) = output else {
            panic!("a stream: {output:?}");
        };
        assert!(response.request_id().is_some_and(|id| !id.is_empty()));
        assert_eq!(response.result.unwrap_or_default(), expected);
    }
}

#[tokio::test]
async fn the_items_of_a_stream_are_not_interpreted() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (reply, expected) in [
        (
            Reply::events()
                .chunk("data: {\"error\":\"e\",\"error_type\":\"T\"}\n\n")
                .chunk("event: error\ndata: {\"a\":1}\n\nevent: end\ndata: {}\n\ndata: [DONE]\n\n"),
            vec![
                json!({"error": "e", "error_type": "T"}),
                json!({"a": 1}),
                json!({}),
                json!("[DONE]"),
            ],
        ),
        (
            Reply::chunked("application/x-ndjson").chunk("{\"error\":\"e\"}\n7\n"),
            vec![json!({"error": "e"}), json!(7)],
        ),
    ] {
        platform.script(ROUTE, reply.end());
        let output = session.post(PATH, json!({})).await.expect("an answer");
        let InvocationOutput::Stream(mut stream) = output else {
            panic!("no stream: {output:?}");
        };
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            items.push(item.expect("an item"));
        }
        assert_eq!(items, expected);
    }
}

#[tokio::test]
async fn a_failure_has_its_status_and_the_type_of_the_protocol() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (reply, status, error_type, says) in [
        (
            Reply::json(
                404,
                &json!({"error": {"message": "no model", "code": "ModelNotFound"}}),
            ),
            404,
            Some("ModelNotFound"),
            "no model",
        ),
        (
            Reply::json(
                400,
                &json!({"type": "RUN_ERROR", "message": "bad", "code": "BadRequest"}),
            ),
            400,
            Some("BadRequest"),
            "bad",
        ),
        (
            Reply::body(404, "text/plain", "Not Found"),
            404,
            None,
            "Not Found",
        ),
        (Reply::with_headers(404, &[], ""), 404, None, "not found"),
    ] {
        platform.script(ROUTE, reply);
        let error = session.post(PATH, json!({})).await.expect_err(says);
        let Error::Invocation {
            status: found,
            error_type: kind,
            message,
            ..
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!((*found, kind.as_deref()), (Some(status), error_type));
        assert_eq!(message, says);
    }
}

#[tokio::test]
async fn a_response_of_another_type_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(ROUTE, Reply::body(200, "text/html", "<p>"));
    let error = session.post(PATH, json!({})).await.expect_err("no JSON");
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    let text = error.report().to_string();
    let expected = "content type \"text/html\", not JSON, an event stream or lines of JSON";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("post to agent"), "{text}");
}

#[tokio::test]
async fn a_request_is_sent_once() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(ROUTE, Reply::nothing().reset());
    let error = session.post(PATH, json!({})).await.expect_err("no answer");
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert_eq!(platform.count(ROUTE), 1);

    platform.script(ROUTE, Reply::nothing().hang());
    let post = session
        .post(PATH, json!({}))
        .timeout(Duration::from_millis(50));
    let error = post.await.expect_err("no answer in time");
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");

    let error = session
        .post("v1/chat", json!({}))
        .await
        .expect_err("no path");
    assert!(matches!(error, Error::Validation { .. }), "{error:?}");
}
