//! Requests that are not valid.

use ppio_test_support::raw_request;
use serde_json::json;

use super::{BOTH, JSON, STATELESS, request};
use crate::shapes::SHAPES;
use crate::support::Agent;

mod limited {
    use ppio::{ByteSize, Value};

    #[ppio::entrypoint(
        config = crate::support::config().max_request_size(ByteSize::new(200_000)),
    )]
    async fn agent(request: Value) -> Value {
        request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_message_is_refused() {
    let agent = SHAPES[0].start().await;
    let many = format!("[{}5]", "5,".repeat(100));
    for body in [
        many.as_str(),
        "5",
        "[]",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
    ] {
        let answer = agent.send("POST", "/mcp", &[BOTH], body).await;
        assert_eq!(answer.status(), 400, "{body}");
        let response = answer.json().await;
        assert_eq!(response["error"]["code"], -32600, "{body}: {response}");
        assert_eq!(response["jsonrpc"], "2.0", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_runtime_refuses_gets_a_json_rpc_error() {
    let agent = Agent::start_module(&format!("{}::limited", module_path!())).await;
    let deep = "[".repeat(100_000);
    let large = "x".repeat(300_000);
    let good = request("ping", &json!({})).to_string();
    let good = good.as_str();
    let text = ("content-type", "text/plain");
    let page = ("origin", "https://evil.example");
    let host = ("host", "evil.example");
    let version = |version| ("mcp-protocol-version", version);
    let two = [JSON, version("2025-06-18"), version("2025-11-25")];
    for (name, headers, body, status, code) in [
        ("no JSON", &[JSON][..], "{", 400, -32700),
        ("empty", &[JSON], "", 400, -32700),
        ("too deep", &[JSON], &*deep, 400, -32700),
        ("too large", &[JSON], &*large, 413, -32600),
        ("another type", &[text], good, 415, -32600),
        ("a foreign host", &[JSON, host], good, 421, -32600),
        ("a foreign page", &[JSON, page], good, 403, -32600),
        (
            "an unknown version",
            &[JSON, version("1")],
            good,
            400,
            -32022,
        ),
        ("two versions", &two, good, 400, -32020),
        (
            "only the version",
            &[JSON, version(STATELESS)],
            good,
            400,
            -32602,
        ),
    ] {
        let answer = raw_request(agent.address, "POST", "/mcp", headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{name}");
        let response = answer.json();
        assert_eq!(response["error"]["code"], code, "{name}: {response}");
        assert_eq!(response["jsonrpc"], "2.0", "{name}");
        assert!(response["error"]["message"].is_string(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_not_allowed() {
    let agent = SHAPES[0].start().await;
    for method in ["GET", "DELETE", "PUT"] {
        let answer = agent.send(method, "/mcp", &[BOTH], "").await;
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST, OPTIONS", "{method}");
        assert_eq!(answer.json().await["error"]["code"], -32600, "{method}");
    }
}
