use ppio_test_support::{AgentProcess, call};
use serde_json::json;

#[tokio::test]
async fn a_value_is_returned() {
    let agent = AgentProcess::start("hello");
    let answer = call::invoke(&agent, &json!({ "prompt": "Ada" })).await;
    assert_eq!(answer.result().await, json!({ "message": "Hello, Ada!" }));
    let answer = call::invoke(&agent, &json!({})).await;
    assert_eq!(answer.result().await, json!({ "message": "Hello, world!" }));
}

#[tokio::test]
async fn invalid_requests_are_errors_with_a_body() {
    let agent = AgentProcess::start("hello");
    let json = [("content-type", "application/json")];
    let send = async |method, path, headers, body: &str| {
        call::send(&agent, method, path, headers, body.to_owned()).await
    };
    let broken = send("POST", "/invocations", &json, "{\"prompt\":").await;
    let text = broken.error(400, "InvalidJson").await;
    assert!(
        text.starts_with("invalid JSON at line 1 column 10"),
        "{text}"
    );
    let lost = send("GET", "/invocation", &[], "").await;
    lost.error(404, "NotFound").await;
    let read = send("PUT", "/invocations", &[], "").await;
    assert_eq!(read.headers()["allow"], "GET, HEAD, POST, OPTIONS");
    read.error(405, "MethodNotAllowed").await;
    let large = "x".repeat(10 * 1024 * 1024);
    let large = send("POST", "/invocations", &json, &format!("\"{large}\"")).await;
    large.error(413, "RequestTooLarge").await;
    let plain = [("content-type", "text/plain")];
    let plain = send("POST", "/invocations", &plain, "{}").await;
    plain.error(415, "UnsupportedMediaType").await;
    // The agent is still healthy after these requests.
    let ping = call::get(&agent, "/ping").await.json().await;
    assert_eq!(ping["status"], "Healthy");
}
