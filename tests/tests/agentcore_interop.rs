//! Checks that an agent answers as the published `bedrock-agentcore` runtime does.
//!
//! The same requests are sent to both runtimes, and their responses are compared.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::Command;

use ppio_test_support::{AgentProcess, call, eventually_some, python_interpreter};
use serde_json::{Value, json};

const SESSION: (&str, &str) = (
    "x-amzn-bedrock-agentcore-runtime-session-id",
    "0123456789-0123456789-0123456789-0123456789",
);
const REQUEST_ID: &str = "x-amzn-bedrock-agentcore-runtime-request-id";
const ACTION: &str = "_agent_core_app_action";

/// Starts the same agent on AgentCore's runtime and on this runtime.
fn agents(variables: &[(&str, &str)]) -> [AgentProcess; 2] {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/agentcore_agent.py");
    let mut python = AgentProcess::command(Command::new(python_interpreter())).arg(script);
    let mut rust = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_agentcore-agent")))
        .env("PPIO_AGENT_PLATFORM", "agentcore")
        .env("PPIO_AGENT_LOG_FORMAT", "agentcore")
        .env("PPIO_AGENT_DEBUG", "true");
    for (name, value) in variables {
        python = python.env(*name, *value);
        rust = rust.env(*name, *value);
    }
    [python.start(), rust.start()]
}

/// An answer without the fields that differ from call to call.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    media_type: String,
    items: Vec<Value>,
}

async fn send(
    agent: &AgentProcess,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Seen {
    let mut headers = headers.to_vec();
    headers.push(SESSION);
    if method == "POST" {
        headers.push(("content-type", "application/json"));
    }
    let answer = call::send(agent, method, path, &headers, body.to_owned()).await;
    let status = answer.status().as_u16();
    let media_type = answer.headers().get("content-type");
    let media_type = media_type.map_or("", |it| it.to_str().unwrap());
    let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
    let text = answer.text().await;
    let items: Vec<Value> = match media_type.as_str() {
        "text/event-stream" => text
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").unwrap().parse().unwrap())
            .collect(),
        "application/json" => vec![text.parse().unwrap()],
        _ => vec![text.into()],
    };
    Seen {
        status,
        media_type,
        items,
    }
}

async fn invoke(agent: &AgentProcess, request: &Value) -> Seen {
    send(agent, "POST", "/invocations", &[], &request.to_string()).await
}

impl Seen {
    /// Returns the only item of an answer with the status 200.
    fn value(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.items[0]
    }

    /// Keeps only the text of each error: errors of this runtime have additional members.
    fn with_texts_of_errors(mut self) -> Self {
        for item in &mut self.items {
            if let Some(error) = item.get("error") {
                *item = json!({ "error": error });
            }
        }
        self
    }
}

#[tokio::test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn invocations_have_the_same_answers() {
    let [python, rust] = agents(&[]);
    for request in [
        json!({"prompt": "世界", "n": 1.5, "list": [1, null, true]}),
        json!({"do": "items", "count": 3}),
        json!({"do": "items", "count": 0}),
        json!({"do": "items", "count": 2, "fail": "no luck"}),
        json!({"do": "fail"}),
        json!({"do": "not found"}),
        json!({"do": "complete", "id": 0}),
        json!({"do": "clear"}),
        json!({ACTION: ""}),
        json!({ACTION: "job_status"}),
        json!({ACTION: "force_busy"}),
        json!({ACTION: "force_healthy"}),
        json!({ACTION: "clear_forced_status"}),
    ] {
        let expected = invoke(&python, &request).await.with_texts_of_errors();
        let seen = invoke(&rust, &request).await.with_texts_of_errors();
        assert_eq!(seen, expected, "{request}");
    }
}

#[tokio::test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn rejected_requests_have_the_same_status() {
    let [python, rust] = agents(&[]);
    let unknown = json!({ACTION: "stop"}).to_string();
    for (method, path, body) in [
        ("POST", "/invocations", "{"),
        ("POST", "/invocations", ""),
        ("POST", "/invocations", unknown.as_str()),
        ("DELETE", "/invocations", ""),
        ("POST", "/ping", ""),
        ("GET", "/missing", ""),
    ] {
        let expected = send(&python, method, path, &[], body).await;
        let seen = send(&rust, method, path, &[], body).await;
        assert_eq!(seen.status, expected.status, "{method} {path} {body}");
        if expected.media_type == "application/json" {
            assert!(expected.items[0]["error"].is_string());
        }
        assert!(seen.items[0]["error"].is_string());
    }
}

#[tokio::test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn the_context_has_the_same_headers() {
    let [python, rust] = agents(&[]);
    let names = [
        "authorization",
        "baggage",
        "traceparent",
        "x-amz-bedrock-agentcore-identity-wat",
        "x-amz-date",
        "x-amz-security-token",
        "x-amzn-bedrock-agentcore-runtime-custom-tenant",
        "x-amzn-bedrock-agentcore-runtime-user-id",
        "x-amzn-trace-id",
        "x-own",
    ];
    let all: Vec<_> = names.iter().map(|name| (*name, "v")).collect();
    for further in [
        &[][..],
        &[
            (REQUEST_ID, "r-1"),
            ("oauth2callbackurl", "https://a.example/b"),
        ],
        &[(REQUEST_ID, "r-1"), ("workloadaccesstoken", "w")],
    ] {
        for some in [&all[..], &[]] {
            let headers = [further, some].concat();
            let request = json!({"do": "context", "names": names}).to_string();
            let mut seen = Vec::new();
            for agent in [&python, &rust] {
                let answer = send(agent, "POST", "/invocations", &headers, &request).await;
                let mut context = answer.value().clone();
                if further.is_empty() {
                    let id = context["request"].take();
                    assert_eq!(id.as_str().unwrap().len(), 36, "{id}");
                }
                seen.push(context);
            }
            assert_eq!(seen[1], seen[0], "{headers:?}");
        }
    }
}

/// Returns the status of a ping. Checks that the action `ping_status` has the same status and time.
async fn ping(agent: &AgentProcess) -> Value {
    let first = send(agent, "GET", "/ping", &[], "").await;
    let time = &first.value()["time_of_last_update"];
    assert!(time.is_u64(), "{first:?}");
    let action = invoke(agent, &json!({ACTION: "ping_status"})).await;
    let status = &first.value()["status"];
    let expected = json!({"status": status, "time_of_last_update": time});
    assert_eq!(*action.value(), expected);
    status.clone()
}

#[tokio::test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn tasks_and_statuses_have_the_same_order() {
    for variables in [
        &[][..],
        &[("CHECK", "Healthy")],
        &[("CHECK", "HealthyBusy")],
        &[("CHECK", "broken")],
    ] {
        let mut seen = Vec::new();
        for agent in agents(variables) {
            let mut statuses = vec![ping(&agent).await];
            let add = json!({"do": "add", "name": "index"});
            let id = invoke(&agent, &add).await.value().clone();
            let jobs = invoke(&agent, &json!({ACTION: "job_status"})).await;
            let job = &jobs.value()["running_jobs"][0];
            assert_eq!(jobs.value()["active_count"], 1);
            assert_eq!(job.as_object().unwrap().len(), 2, "{job}");
            assert!(job["duration"].as_f64().unwrap() >= 0.0, "{job}");
            assert_eq!(job["name"], "index");
            statuses.push(ping(&agent).await);
            for status in ["Healthy", "HealthyBusy"] {
                invoke(&agent, &json!({"do": "force", "status": status})).await;
                statuses.push(ping(&agent).await);
            }
            invoke(&agent, &json!({"do": "clear"})).await;
            statuses.push(ping(&agent).await);
            for is_complete in [true, false] {
                let complete = json!({"do": "complete", "id": id});
                assert_eq!(*invoke(&agent, &complete).await.value(), json!(is_complete));
            }
            statuses.push(ping(&agent).await);
            seen.push(statuses);
        }
        assert_eq!(seen[1], seen[0], "{variables:?}");
    }
}

#[tokio::test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
async fn a_failure_is_logged_with_the_same_members() {
    let mut seen = Vec::new();
    for agent in agents(&[]) {
        let headers = [(REQUEST_ID, "r-1")];
        let request = json!({"do": "fail"}).to_string();
        let answer = send(&agent, "POST", "/invocations", &headers, &request).await;
        assert_eq!(answer.status, 500);
        let line = eventually_some("the failure", async || {
            let log = agent.stderr();
            let lines = log.lines().filter_map(|line| line.parse::<Value>().ok());
            let mut failures = lines.filter(|line| line.get("errorMessage").is_some());
            failures.next()
        })
        .await;
        assert!(line["logger"].is_string() && line["message"].is_string());
        humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).unwrap();
        let names = [
            "level",
            "requestId",
            "sessionId",
            "errorType",
            "errorMessage",
        ];
        seen.push(names.map(|name| line[name].clone()));
    }
    assert_eq!(seen[1], seen[0]);
}
