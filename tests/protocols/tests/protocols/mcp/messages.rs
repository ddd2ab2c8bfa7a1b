//! Messages other than calls: handshakes, notifications, batches and errors.

use serde_json::{Value, json};

use super::{BOTH, STATELESS, handshake, request, stateless, text_of};
use crate::shapes::SHAPES;

#[tokio::test(flavor = "multi_thread")]
async fn initialize_agrees_on_a_version() {
    let agent = SHAPES[0].start().await;
    for (wanted, agreed) in [
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2024-11-05", "2025-11-25"),
        (STATELESS, "2025-11-25"),
    ] {
        let params = json!({
            "protocolVersion": wanted,
            "capabilities": {},
            "clientInfo": {"name": "a client", "version": "1"},
        });
        let answer = handshake(&agent, "initialize", &params).await;
        let session = answer.headers().get("mcp-session-id").cloned();
        assert!(
            session.is_some_and(|session| session.len() == 36),
            "{wanted}"
        );
        let result = answer.json().await["result"].clone();
        assert_eq!(result["protocolVersion"], agreed);
        assert_eq!(result["serverInfo"]["name"], "protocol-tests");
        assert_eq!(result["capabilities"], json!({"tools": {}}));
    }
    // A platform in front of the agent has already set the session id.
    let body = request("initialize", &json!({"protocolVersion": "2025-06-18"})).to_string();
    let headers = [BOTH, ("mcp-session-id", "of-the-platform")];
    let answer = agent.send("POST", "/mcp", &headers, &body).await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.headers().contains_key("mcp-session-id"));

    // A client in a web page has to be able to read the header `mcp-session-id`.
    let headers = [BOTH, ("origin", "http://localhost:3000")];
    let answer = agent.send("POST", "/mcp", &headers, &body).await;
    let exposed = &answer.headers()["access-control-expose-headers"];
    assert_eq!(exposed, "mcp-session-id, x-request-id");

    let discovered = stateless(&agent, "server/discover", json!({})).await;
    let result = discovered.json().await["result"].clone();
    assert_eq!(result["supportedVersions"][0], STATELESS);
    let server = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server["name"], "protocol-tests");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_an_answer_are_accepted() {
    let agent = SHAPES[0].start().await;
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":1,"result":{}}]"#,
    ] {
        let answer = agent.send("POST", "/mcp", &[BOTH], body).await;
        assert_eq!(answer.status(), 202, "{body}");
        assert_eq!(answer.text().await, "", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_accepted_in_one_version_only() {
    let agent = SHAPES[0].start().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call",
            "params": {"name": "protocol-tests", "_meta": {"progressToken": 1}}},
        {"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {}},
        {"jsonrpc": "2.0", "id": 4, "method": "prompts/list"},
        5,
    ]);
    let answer = agent
        .send("POST", "/mcp", &[BOTH], &batch.to_string())
        .await;
    assert_eq!(answer.status(), 200);
    let answers = answer.json().await;
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
    assert_eq!(answers[1]["id"], "b");
    assert_eq!(text_of(&answers[1]["result"]), "Hello, world!");
    assert_eq!(answers[2]["error"]["code"], -32600);
    assert_eq!(answers[3]["error"]["code"], -32601);
    assert_eq!(answers[4]["id"], Value::Null);
    for version in ["2025-06-18", "2025-11-25", STATELESS] {
        let headers = [BOTH, ("mcp-protocol-version", version)];
        let answer = agent
            .send("POST", "/mcp", &headers, &batch.to_string())
            .await;
        assert_eq!(answer.status(), 400, "{version}");
        assert_eq!(answer.json().await["error"]["code"], -32600, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_requests_get_json_rpc_errors() {
    let agent = SHAPES[0].start().await;
    for (method, params, code, status) in [
        ("prompts/list", json!({}), -32601, 404),
        ("ping", json!({}), -32601, 404),
        ("initialize", json!({}), -32601, 404),
        ("subscriptions/listen", json!({}), -32601, 404),
        ("tools/call", json!({"name": "other"}), -32602, 400),
        ("tools/call", json!({}), -32602, 400),
        (
            "tools/call",
            json!({"name": "protocol-tests", "arguments": [1]}),
            -32602,
            400,
        ),
        ("tools/list", json!({"cursor": "2"}), -32602, 400),
    ] {
        let answer = stateless(&agent, method, params.clone()).await;
        assert_eq!(answer.status(), status, "{method} {params}");
        let response = answer.json().await;
        assert_eq!(response["error"]["code"], code, "{method}: {response}");
        assert_eq!(response["id"], 7, "{method}");
        if !matches!(method, "ping" | "initialize") {
            // Earlier clients read errors only from a response with status 200.
            let answer = handshake(&agent, method, &params).await;
            assert_eq!(answer.status(), 200, "{method} {params}");
            let response = answer.json().await;
            assert_eq!(response["error"]["code"], code, "{method}: {response}");
        }
    }
}
