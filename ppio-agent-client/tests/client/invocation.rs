//! Invocations: the request that is sent, and how the response is returned.

use std::future::IntoFuture as _;
use std::time::Duration;

use ppio_agent_client::{Error, InvocationOutput, InvocationRequest, SandboxConfig};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clients::client_of;

const INVOKE: &str = "agent POST /invocations";
const REFRESH: &str = "POST /sandboxes/{id}/refreshes";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct City {
    name: String,
    people: u64,
}

#[tokio::test]
async fn any_serializable_value_is_a_request() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let city = City {
        name: "Paris".into(),
        people: 2_000_000,
    };
    session.invoke("text").await.unwrap();
    session.invoke(json!({"any": "object"})).await.unwrap();
    session.invoke(&city).await.unwrap();
    session
        .invoke(InvocationRequest::prompt("hi").with_user_id("u"))
        .await
        .unwrap();
    let bodies: Vec<_> = platform
        .requests(INVOKE)
        .iter()
        .map(ppio_test_support::scripted_platform::Recorded::json)
        .collect();
    let expected = [
        json!({"prompt": "text"}),
        json!({"any": "object"}),
        json!({"name": "Paris", "people": 2_000_000}),
        json!({"prompt": "hi", "user_id": "u"}),
    ];
    assert_eq!(bodies, expected);
    let back = session.invoke(&city).json::<City>().await.unwrap();
    assert_eq!(back, city);
    let error = session.invoke(&city).json::<Vec<u8>>().await.unwrap_err();
    assert!(matches!(error, Error::Runtime { .. }), "{error}");
    assert!(
        error.report().to_string().contains("requested type"),
        "{error}"
    );
}

#[tokio::test]
async fn every_call_has_session_request_and_trace_headers() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let incoming = http::HeaderMap::from_iter([
        (
            http::HeaderName::from_static("traceparent"),
            http::HeaderValue::from_static(parent),
        ),
        (
            http::header::COOKIE,
            http::HeaderValue::from_static("private=1"),
        ),
    ]);
    session
        .invoke("a")
        .request_id("order-42")
        .trace_context(&incoming)
        .await
        .unwrap();
    session.invoke("b").await.unwrap();
    session.invoke("c").await.unwrap();
    let requests = platform.requests(INVOKE);
    let first = &requests[0];
    // A holder of the API key can use the account; an agent that is not on PPIO's cloud is not sent
    // the key.
    assert_eq!(first.header("authorization"), "");
    assert_eq!(first.header("x-request-id"), "order-42");
    assert_eq!(
        first.header("x-amzn-bedrock-agentcore-runtime-session-id"),
        "sb1"
    );
    assert_eq!(first.header("traceparent"), parent);
    assert_eq!(first.header("cookie"), "");
    assert!(first.header("user-agent").starts_with("ppio-agent-client"));
    assert_eq!(
        first.header("host"),
        format!("8080-sb1.{}", platform.domain())
    );
    assert_ne!(
        requests[1].header("x-request-id"),
        requests[2].header("x-request-id")
    );
    let error = session
        .invoke("d")
        .request_id("two\nlines")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Validation { .. }));
}

#[tokio::test]
async fn an_agent_without_envelope_is_understood_too() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    for bare in [
        json!({"status": "shipped", "result": 5}),
        json!([1, 2]),
        json!("text"),
        json!(null),
    ] {
        platform.script(INVOKE, Reply::json(200, &bare));
        let answer = session.invoke("go").await.unwrap();
        assert!(answer.is_success());
        assert_eq!(answer.result.unwrap_or_default(), bare);
    }
}

#[tokio::test]
async fn an_existing_session_can_be_asked_by_its_id() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    let answer = client
        .invoke_agent("tmpl_1", "hi")
        .session(session.sandbox_id())
        .await
        .unwrap();
    assert!(answer.is_success());
    assert_eq!(platform.live().len(), 1, "no sandbox closed or created");
    let error = client
        .invoke_agent("tmpl_1", "hi")
        .session("missing")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }));
}

#[tokio::test]
async fn agentcore_style_calls_keep_one_sandbox_for_each_session_id() {
    let platform = ScriptedPlatform::start().await;
    platform.add_template(
        "tmpl1",
        &ppio_test_support::scripted_platform::agent_document("a"),
    );
    let client = client_of(&platform);
    let ask = |payload: &'static str| {
        let arn = "arn:aws:bedrock-agentcore:us-west-2:1:runtime/my_agent-tmpl1";
        client.invoke_agent_runtime(arn, payload)
    };
    let (one, two, other) = tokio::join!(
        ask(r#"{"a": 1}"#)
            .runtime_session_id("user-1")
            .into_future(),
        ask("text").runtime_session_id("user-1").into_future(),
        ask("text").runtime_session_id("user-2").into_future(),
    );
    assert_eq!(one.as_ref().unwrap().runtime_session_id, "user-1");
    let InvocationOutput::Value(answer) = one.unwrap().output else {
        panic!("a value")
    };
    assert_eq!(answer.result, Some(json!({"a": 1})));
    let InvocationOutput::Value(answer) = two.unwrap().output else {
        panic!("a value")
    };
    assert_eq!(answer.result, Some(json!({"prompt": "text"})));
    other.unwrap();
    assert_eq!(platform.live().len(), 2);

    // Without an id, the sandbox's id is the session's id, and later calls can use it.
    let anonymous = ask("x").await.unwrap().runtime_session_id;
    assert_eq!(
        ask("y")
            .runtime_session_id(&anonymous)
            .await
            .unwrap()
            .runtime_session_id,
        anonymous
    );
    assert_eq!(platform.live().len(), 3);

    // A sandbox that is gone is reported once, and replaced.
    platform.expire(&anonymous);
    let error = ask("z").runtime_session_id(&anonymous).await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");
    ask("z").runtime_session_id(&anonymous).await.unwrap();

    let error = client.invoke_agent_runtime("no id", "x").await.unwrap_err();
    assert!(matches!(error, Error::Validation { .. }));
    drop(client);
    platform.eventually_empty().await;
}

/// Advances the clock of this test.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn used_session_ids_are_refreshed_and_expired_ones_removed() {
    let platform = ScriptedPlatform::start().await;
    platform.add_template(
        "tmpl1",
        &ppio_test_support::scripted_platform::agent_document("a"),
    );
    let client = client_of(&platform);
    let ask = async |session: &str| {
        let call = client.invoke_agent_runtime("my_agent-tmpl1", "hi");
        let sandbox = SandboxConfig {
            timeout: Some(Duration::from_secs(100)),
            ..SandboxConfig::default()
        };
        call.runtime_session_id(session).sandbox(sandbox).await
    };
    ask("used").await.unwrap();
    ask("used").await.unwrap();
    assert_eq!(platform.count(REFRESH), 0, "no refresh is needed yet");
    pass(Duration::from_secs(60)).await;
    ask("used").await.unwrap();
    platform
        .eventually("the timeout is set", |platform| {
            platform.count(REFRESH) == 1
        })
        .await;
    assert_eq!(platform.requests(REFRESH)[0].json()["duration"], 100);
    assert_eq!(platform.live().len(), 1);

    // The sandbox's timeout has passed: the client removes the session without killing the sandbox,
    // since another client may have set a later timeout.
    pass(Duration::from_secs(200)).await;
    ask("other").await.unwrap();
    client.close().await.unwrap();
    let live: Vec<_> = platform.live().into_iter().map(|left| left.id).collect();
    assert_eq!(live, ["sb1"]);
}

#[tokio::test]
async fn a_bare_value_has_a_request_id_and_a_duration() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    platform.script(INVOKE, Reply::json(200, &json!({"temperature": 21})));
    let answer = session.invoke("hi").request_id("order-43").await.unwrap();
    assert_eq!(answer.request_id(), Some("order-43"));
    assert!(answer.duration > 0.0);
}

/// An agent may use another request id than its caller sent, and logs the call under that id.
#[tokio::test]
async fn the_request_id_of_the_agent_takes_precedence() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let raw = |content_type: &str, body: &str| {
        let length = body.len();
        let head = format!("content-type: {content_type}\r\ncontent-length: {length}");
        Reply::raw(format!(
            "HTTP/1.1 200 OK\r\nx-request-id: agents-own\r\n{head}\r\n\r\n{body}"
        ))
    };
    platform.script(INVOKE, raw("application/json", "[1]"));
    let answer = session.invoke("hi").request_id("mine").await.unwrap();
    assert_eq!(answer.request_id(), Some("agents-own"));

    let envelope = r#"{"result": 1, "status": "success", "duration": 0.1, "metadata": null}"#;
    platform.script(INVOKE, raw("application/json", envelope));
    let answer = session.invoke("hi").request_id("mine").await.unwrap();
    assert_eq!(answer.request_id(), Some("agents-own"));

    platform.script(INVOKE, raw("text/event-stream", "data: 1\n\n"));
    let stream = session.invoke("hi").request_id("mine").stream().await;
    assert_eq!(stream.unwrap().request_id(), "agents-own");
}
