//! A2A: the agent card, JSON-RPC and REST.

mod callers;
mod push;
mod receiver;
mod tls;
mod version;

use futures_util::stream::{self, StreamExt as _};
use ppio::{ChatEvent, InvocationRequest};
use ppio_test_support::call::get;
use ppio_test_support::{AgentProcess, eventually_some, raw_request};
use serde_json::{Value, json};

use crate::shapes::{Fails, SHAPES};
use crate::support::{Agent, config, events};

/// An agent that sends an interrupt, never answers, or repeats its prompt, and that lists the tasks
/// of anonymous callers.
mod talking {
    use super::*;

    #[ppio::entrypoint(config = crate::support::config().list_anonymous_runs(true))]
    async fn agent(request: InvocationRequest) -> impl futures_util::Stream<Item = ChatEvent> {
        let prompt = request.prompt.clone().unwrap_or_default();
        let mut events = Vec::new();
        match (request.resume.first(), prompt.as_str()) {
            (Some(response), _) => events.push(ChatEvent::text(format!(
                "{} to {:?} in {:?}",
                response.payload,
                request.messages[0].text(),
                request.thread_id
            ))),
            (None, "approve") => events.push(ChatEvent::Interrupt {
                id: "i1".to_owned(),
                reason: "approval".to_owned(),
                message: Some("May I?".to_owned()),
                tool_call_id: None,
                response_schema: None,
            }),
            (None, prompt) => {
                events.push(ChatEvent::text(format!("You said {prompt}.")));
                events.push(ChatEvent::data("numbers", json!([1, 2])));
            }
        }
        let rest = if prompt == "hang" {
            stream::pending().boxed()
        } else {
            stream::empty().boxed()
        };
        stream::iter(events).chain(rest)
    }
}

async fn talking() -> Agent {
    Agent::start_module(&format!("{}::talking", module_path!())).await
}

fn call(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn message(text: &str) -> Value {
    json!({"message": {"messageId": "m1", "role": "ROLE_USER", "parts": [{"text": text}]}})
}

/// Returns the result of a JSON-RPC call.
async fn result(agent: &Agent, method: &str, params: &Value) -> Value {
    let mut answer = agent.post("/a2a", &call(method, params)).await.json().await;
    assert_eq!(answer["error"], Value::Null, "{method}: {answer}");
    assert_eq!(answer["id"], 1);
    answer["result"].take()
}

/// Returns the error code of a JSON-RPC call.
async fn code(agent: &Agent, method: &str, params: &Value) -> Value {
    let answer = agent.post("/a2a", &call(method, params)).await.json().await;
    assert_eq!(answer["result"], Value::Null, "{method}: {answer}");
    answer["error"]["code"].clone()
}

/// Returns the text of an answer: its texts, and each of its values on a separate line.
fn text_of(parts: &[Value]) -> String {
    let mut text = String::new();
    for part in parts {
        if let Some(part) = part["text"].as_str() {
            text += part;
        } else {
            if !text.is_empty() {
                text.push('\n');
            }
            text += &part["data"].to_string();
        }
    }
    text
}

fn assert_ended(shape: &crate::shapes::Shape, status: &Value) {
    let expected = match shape.fails {
        None => "TASK_STATE_COMPLETED",
        Some(_) => "TASK_STATE_FAILED",
    };
    assert_eq!(status["state"], expected, "{}: {status}", shape.name);
    if let Some(Fails::First(_, text) | Fails::Later(text)) = shape.fails {
        let message = status["message"]["parts"][0]["text"].as_str().unwrap();
        assert!(message.contains(text), "{}: {message}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_answered_as_a_task() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let task = result(&agent, "SendMessage", &message("hi")).await["task"].take();
        assert_ended(&shape, &task["status"]);
        if shape.fails.is_none() {
            let parts = task["artifacts"][0]["parts"].as_array();
            let text = parts.map(|parts| text_of(parts)).unwrap_or_default();
            assert_eq!(text, shape.text(), "{}", shape.name);
        }
        let kept = result(&agent, "GetTask", &json!({"id": task["id"]})).await;
        assert_eq!(kept["status"]["state"], task["status"]["state"]);
        assert_eq!(kept["artifacts"], task["artifacts"], "{}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_streamed() {
    for shape in SHAPES {
        let agent = shape.start().await;
        for is_rest in [false, true] {
            let answer = if is_rest {
                agent.post("/a2a/message:stream", &message("hi")).await
            } else {
                let request = call("SendStreamingMessage", &message("hi"));
                agent.post("/a2a", &request).await
            };
            assert_eq!(answer.status(), 200, "{}", shape.name);
            let events: Vec<Value> = events(&answer.text().await)
                .into_iter()
                .map(|(_, data)| {
                    let mut event: Value = serde_json::from_str(&data).unwrap();
                    if is_rest {
                        event
                    } else {
                        event["result"].take()
                    }
                })
                .collect();
            let (first, rest) = events.split_first().unwrap();
            assert_eq!(first["task"]["status"]["state"], "TASK_STATE_WORKING");
            let (last, updates) = rest.split_last().unwrap();
            assert_ended(&shape, &last["statusUpdate"]["status"]);
            let mut parts = Vec::new();
            for (at, update) in updates.iter().enumerate() {
                let update = &update["artifactUpdate"];
                assert_eq!(update["append"], at > 0, "{}: {update}", shape.name);
                assert_eq!(update["taskId"], first["task"]["id"]);
                parts.extend(update["artifact"]["parts"].as_array().unwrap().clone());
            }
            assert_eq!(text_of(&parts), shape.text(), "{}", shape.name);
        }
    }
}

#[tokio::test]
async fn the_card_contains_the_url_of_the_agent() {
    let agent = talking().await;
    let path = "/.well-known/agent-card.json";
    let card = agent.send("GET", path, &[], "").await.json().await;
    assert_eq!(card["name"], "protocol-tests");
    let url = format!("http://{}/a2a", agent.address);
    assert_eq!(card["url"], *url);
    for interface in card["supportedInterfaces"].as_array().unwrap() {
        assert_eq!(interface["url"], *url);
    }
    assert_eq!(card["capabilities"]["streaming"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn agentcore_sets_the_url_of_the_card() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    program
        .env("PPIO_AGENT_PLATFORM", "agentcore-a2a")
        .env("AGENTCORE_RUNTIME_URL", "https://agents.example/a");
    let agent = AgentProcess::command(program).start();
    let card = get(&agent, "/.well-known/agent-card.json")
        .await
        .json()
        .await;
    for interface in card["supportedInterfaces"].as_array().unwrap() {
        assert_eq!(interface["url"], "https://agents.example/a");
        assert_eq!(interface["protocolBinding"], "JSONRPC");
    }
    // AgentCore calls A2A agents at the root path.
    let json = [("content-type", "application/json")];
    let body = call("SendMessage", &message("hello")).to_string();
    let answer = ppio_test_support::call::send(&agent, "POST", "/", &json, body).await;
    let answer = answer.json().await;
    let task = &answer["result"]["task"];
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_the_task_only_on_request() {
    let agent = talking().await;
    let mut ids = Vec::new();
    for headers in [&[][..], &[("ppio-on-disconnect", "cancel")]] {
        let body = call("SendStreamingMessage", &message("hang")).to_string();
        let answer = agent.send("POST", "/a2a", headers, &body).await;
        let list = result(&agent, "ListTasks", &json!({"pageSize": 1})).await;
        assert_eq!(list["tasks"][0]["status"]["state"], "TASK_STATE_WORKING");
        ids.push(json!({"id": list["tasks"][0]["id"]}));
        drop(answer);
    }
    let state = async |id| result(&agent, "GetTask", id).await["status"]["state"].take();
    let is_cancelled = async || (state(&ids[1]).await == "TASK_STATE_CANCELED").then_some(());
    eventually_some("the task that ends with its caller", is_cancelled).await;
    assert_eq!(state(&ids[0]).await, "TASK_STATE_WORKING");
}

#[tokio::test]
async fn an_interrupt_is_answered_in_the_same_task() {
    let agent = talking().await;
    let task = result(&agent, "SendMessage", &message("approve")).await["task"].take();
    let status = &task["status"];
    assert_eq!(status["state"], "TASK_STATE_INPUT_REQUIRED");
    assert_eq!(status["message"]["parts"][0]["text"], "May I?");
    assert_eq!(status["message"]["parts"][1]["data"]["interruptId"], "i1");

    let mut answer = message("yes");
    answer["message"]["taskId"] = task["id"].clone();
    answer["message"]["contextId"] = "another".into();
    assert_eq!(code(&agent, "SendMessage", &answer).await, -32602);
    answer["message"]["contextId"] = task["contextId"].clone();
    answer["message"]["parts"] = json!([{"data": {"approved": true}}]);
    let ended = result(&agent, "SendMessage", &answer).await["task"].take();
    assert_eq!(ended["id"], task["id"]);
    assert_eq!(ended["contextId"], task["contextId"]);
    assert_eq!(ended["status"]["state"], "TASK_STATE_COMPLETED");
    let text = ended["artifacts"][0]["parts"][0]["text"].as_str().unwrap();
    let context = task["contextId"].as_str().unwrap();
    assert_eq!(
        text,
        format!("{{\"approved\":true}} to \"approve\" in Some({context:?})")
    );
    assert_eq!(ended["history"].as_array().unwrap().len(), 2);
    // The task has ended, so it accepts no further message.
    assert_eq!(code(&agent, "SendMessage", &answer).await, -32004);
}

#[tokio::test]
async fn a_running_task_is_found_and_cancelled() {
    let agent = talking().await;
    let mut request = message("hang");
    request["configuration"] = json!({"returnImmediately": true});
    let task = result(&agent, "SendMessage", &request).await["task"].take();
    assert_eq!(task["status"]["state"], "TASK_STATE_WORKING");
    let id = json!({"id": task["id"]});
    let mut more = message("more");
    more["message"]["taskId"] = task["id"].clone();
    assert_eq!(code(&agent, "SendMessage", &more).await, -32004);

    let subscribed = agent.post("/a2a", &call("SubscribeToTask", &id)).await;
    let cancelled = result(&agent, "CancelTask", &id).await;
    assert_eq!(cancelled["status"]["state"], "TASK_STATE_CANCELED");
    let events = events(&subscribed.text().await);
    let last: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    let status = &last["result"]["statusUpdate"]["status"];
    assert_eq!(status["state"], "TASK_STATE_CANCELED", "{last}");
    assert_eq!(code(&agent, "CancelTask", &id).await, -32002);
    assert_eq!(code(&agent, "SubscribeToTask", &id).await, -32004);
}

#[tokio::test]
async fn tasks_are_listed() {
    let agent = talking().await;
    let mut ids = Vec::new();
    for (text, context) in [("a", "c1"), ("b", "c2"), ("c", "c1")] {
        let mut request = message(text);
        request["message"]["contextId"] = context.into();
        ids.push(result(&agent, "SendMessage", &request).await["task"]["id"].take());
    }
    let listed = |list: &Value| -> Vec<Value> {
        let tasks = list["tasks"].as_array().unwrap().iter();
        tasks.map(|task| task["id"].clone()).collect()
    };
    let page = result(&agent, "ListTasks", &json!({"pageSize": 2})).await;
    assert_eq!(listed(&page), [ids[2].clone(), ids[1].clone()]);
    assert_eq!(
        (&page["totalSize"], &page["pageSize"]),
        (&json!(3), &json!(2))
    );
    let token = page["nextPageToken"].clone();
    let page = result(
        &agent,
        "ListTasks",
        &json!({"pageSize": 2, "pageToken": token}),
    )
    .await;
    assert_eq!(listed(&page), [ids[0].clone()]);
    assert_eq!(page["nextPageToken"], "");
    for (query, expected) in [
        ("contextId=c1", 2),
        ("context%49d=c1", 2),
        ("contextId=1", 0),
        ("contextId=true&includeArtifacts=true&historyLength=1", 0),
        ("status=TASK_STATE_COMPLETED", 3),
        ("status=TASK_STATE_WORKING", 0),
        ("statusTimestampAfter=2020-01-31T12%3A00%3A00Z", 3),
        ("statusTimestampAfter=2120-01-31T12:00:00Z", 0),
    ] {
        let path = format!("/a2a/tasks?{query}");
        let list = agent.send("GET", &path, &[], "").await.json().await;
        assert_eq!(listed(&list).len(), expected, "{query}: {list}");
    }
    for params in [json!({"contextId": 1}), json!({"includeArtifacts": "yes"})] {
        let code = code(&agent, "ListTasks", &params).await;
        assert_eq!(code, -32602, "{params}");
    }
}

#[tokio::test]
async fn version_0_3_is_supported() {
    let agent = talking().await;
    let request = json!({"message": {
        "kind": "message", "messageId": "m1", "role": "user",
        "parts": [
            {"kind": "text", "text": "hi"},
            {"kind": "file", "file": {"uri": "http://example.com/a.png", "mimeType": "image/png"}},
        ],
    }});
    let task = result(&agent, "message/send", &request).await;
    assert_eq!(task["kind"], "task");
    assert_eq!(task["status"]["state"], "completed");
    let parts = &task["artifacts"][0]["parts"];
    assert_eq!(parts[0], json!({"kind": "text", "text": "You said hi."}));
    assert_eq!(task["history"][0]["parts"], request["message"]["parts"]);
    let answer = agent.post("/a2a", &call("message/stream", &request)).await;
    let events = events(&answer.text().await);
    let last: Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    assert_eq!(last["result"]["kind"], "status-update");
    assert_eq!(last["result"]["final"], true);
    // Reads the same task in version 1.0.
    let task = result(&agent, "GetTask", &json!({"id": task["id"]})).await;
    assert_eq!(task["history"][0]["role"], "ROLE_USER");
    assert_eq!(task["history"][0]["parts"][1]["mediaType"], "image/png");
}

#[tokio::test]
async fn a_repeated_idempotency_key_returns_the_same_task() {
    let agent = talking().await;
    let key = [("idempotency-key", "k1")];
    let mut ids = Vec::new();
    for _ in 0..2 {
        let body = call("SendMessage", &message("hi")).to_string();
        let answer = agent.send("POST", "/a2a", &key, &body).await.json().await;
        ids.push(answer["result"]["task"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn invalid_requests_get_json_rpc_errors() {
    let agent = talking().await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}}"#,
        "[".repeat(10_000)
    );
    let sent = |params: Value| call("SendMessage", &params).to_string();
    let part = |part: Value| {
        sent(json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [part]}}))
    };
    for (body, code) in [
        ("{".to_owned(), -32700),
        (deep, -32700),
        ("[]".to_owned(), -32600),
        ("1".to_owned(), -32600),
        (
            json!({"jsonrpc": "1.0", "id": 1, "method": "GetTask"}).to_string(),
            -32600,
        ),
        (
            json!({"jsonrpc": "2.0", "id": {}, "method": "GetTask"}).to_string(),
            -32600,
        ),
        (
            json!({"jsonrpc": "2.0", "id": 1, "method": 5}).to_string(),
            -32600,
        ),
        (call("Unknown", &json!({})).to_string(), -32601),
        (call("GetTask", &json!([])).to_string(), -32602),
        (call("GetTask", &json!({})).to_string(), -32602),
        (call("GetTask", &json!({"id": "none"})).to_string(), -32001),
        (
            call("ListTasks", &json!({"historyLength": -1})).to_string(),
            -32602,
        ),
        (
            call("CancelTask", &json!({"id": "\",\"x"})).to_string(),
            -32001,
        ),
        (
            call("ListTasks", &json!({"pageSize": 101})).to_string(),
            -32602,
        ),
        (
            call("ListTasks", &json!({"pageSize": 0})).to_string(),
            -32602,
        ),
        (
            call("ListTasks", &json!({"pageToken": "x"})).to_string(),
            -32602,
        ),
        (
            call("ListTasks", &json!({"status": "x"})).to_string(),
            -32602,
        ),
        (
            call("ListTasks", &json!({"statusTimestampAfter": "x"})).to_string(),
            -32602,
        ),
        (call("GetExtendedAgentCard", &json!({})).to_string(), -32004),
        (
            call("CreateTaskPushNotificationConfig", &json!({})).to_string(),
            -32602,
        ),
        (sent(json!({})), -32602),
        (part(json!({})), -32602),
        (part(json!({"text": 5})), -32602),
        (
            sent(
                json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "a"}]}}),
            ),
            -32602,
        ),
        (
            sent(json!({"message": {"messageId": "m", "role": "ROLE_USER", "parts": []}})),
            -32602,
        ),
        (
            sent(
                json!({"message": {"messageId": "m", "taskId": "none", "role": "ROLE_USER", "parts": [{"text": "a"}]}}),
            ),
            -32001,
        ),
    ] {
        let answer = agent.send("POST", "/a2a", &[], &body).await;
        assert_eq!(answer.status(), 200);
        let answer = answer.json().await;
        let shown: String = body.chars().take(200).collect();
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
    }
    let version = [("a2a-version", "9.0")];
    let body = call("GetTask", &json!({"id": "a"})).to_string();
    let answer = agent
        .send("POST", "/a2a", &version, &body)
        .await
        .json()
        .await;
    assert_eq!(answer["error"]["code"], -32009);
}

#[tokio::test]
async fn an_error_names_the_role_in_the_version_of_the_request() {
    let agent = talking().await;
    for (method, sent, allowed) in [
        ("SendMessage", "ROLE_AGENT", "ROLE_USER"),
        ("message/send", "agent", "user"),
    ] {
        let part = json!({"kind": "text", "text": "a"});
        let message = json!({"messageId": "m", "role": sent, "parts": [part]});
        let body = call(method, &json!({ "message": message })).to_string();
        let answer = agent.send("POST", "/a2a", &[], &body).await.json().await;
        let expected = format!("a message of role {sent:?} cannot be sent; send `{allowed}`");
        assert_eq!(answer["error"]["message"], expected, "{answer}");
    }
}

#[tokio::test]
async fn requests_that_the_runtime_refuses_get_json_rpc_errors() {
    let agent = Agent::start(
        ppio::AgentRuntimeApp::builder()
            .entrypoint(|request: ppio::Value| async move { request })
            .config(config().max_request_size(ppio::ByteSize::new(1000)))
            .build()
            .unwrap(),
    )
    .await;
    let large = call("SendMessage", &message(&"a".repeat(2000))).to_string();
    let fine = call("SendMessage", &message("a")).to_string();
    let json = ("content-type", "application/json");
    for (headers, body, status) in [
        (&[json][..], &large, 413),
        (&[("content-type", "text/html")], &fine, 415),
        (&[json, ("origin", "http://evil.example")], &fine, 403),
        (&[json, ("host", "evil.example")], &fine, 421),
    ] {
        let answer = raw_request(agent.address, "POST", "/a2a", headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{headers:?}");
        let answer = answer.json();
        assert_eq!(answer["jsonrpc"], "2.0");
        assert_eq!(answer["error"]["code"], -32600, "{answer}");
    }
}

#[tokio::test]
async fn rest_errors_have_a_status_and_a_reason() {
    let agent = talking().await;
    let answer = agent.post("/a2a/message:send", &message("hi")).await;
    assert_eq!(answer.status(), 200);
    let task = answer.json().await["task"].take();
    let path = format!("/a2a/tasks/{}", task["id"].as_str().unwrap());
    let kept = agent.send("GET", &path, &[], "").await.json().await;
    assert_eq!(kept["artifacts"], task["artifacts"]);
    assert_eq!(kept["artifacts"][1]["artifactId"], "numbers");
    let none = format!("{path}?historyLength=0");
    let kept = agent.send("GET", &none, &[], "").await.json().await;
    assert_eq!(kept["history"], Value::Null);
    let cancel = format!("{path}:cancel");
    for (method, path, headers, body, status, reason) in [
        ("GET", "/a2a/tasks/none", &[][..], "", 404, "TASK_NOT_FOUND"),
        ("POST", &*cancel, &[], "", 400, "TASK_NOT_CANCELABLE"),
        (
            "POST",
            "/a2a/message:send",
            &[],
            "{",
            400,
            "INVALID_REQUEST",
        ),
        (
            "POST",
            "/a2a/message:send",
            &[],
            "{}",
            400,
            "INVALID_PARAMS",
        ),
        (
            "GET",
            "/a2a/extendedAgentCard",
            &[],
            "",
            400,
            "UNSUPPORTED_OPERATION",
        ),
        (
            "GET",
            "/a2a/tasks/a/pushNotificationConfigs",
            &[],
            "",
            404,
            "TASK_NOT_FOUND",
        ),
        (
            "GET",
            "/a2a/tasks",
            &[("a2a-version", "2.0")],
            "",
            400,
            "VERSION_NOT_SUPPORTED",
        ),
    ] {
        let answer = agent.send(method, path, headers, body).await;
        assert_eq!(answer.status(), status, "{path}");
        let error = answer.json().await["error"].take();
        assert_eq!(error["code"], status, "{path}");
        assert_eq!(error["details"][0]["reason"], reason, "{path}: {error}");
    }
}
