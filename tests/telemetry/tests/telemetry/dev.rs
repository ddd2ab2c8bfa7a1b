//! The traces and logs of agents that `agent dev` runs: its API and `agent traces`.

use std::path::Path;
use std::process::Command;

use ppio_test_support::{AgentDev, eventually_some, raw_request};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Starts `agent dev` with one of the agents of this package.
fn develop(agent: &str, variables: &[(&str, &str)]) -> AgentDev {
    AgentDev::start(Path::new(agent), variables)
}

/// Sends a prompt, and returns the id of the run.
async fn invoke(dev: &AgentDev, headers: &[(&str, &str)], prompt: &str) -> String {
    let body = json!({"prompt": prompt}).to_string();
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let answer = raw_request(
        dev.address(),
        "POST",
        "/invocations",
        &headers,
        body.as_bytes(),
    );
    let answer = answer.await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut lines = answer.head.lines();
    let id = lines.find_map(|line| line.strip_prefix("x-request-id: "));
    id.expect("an id").to_owned()
}

/// Sends a chat in a session, and a prompt that logs a line; returns the ids of the runs.
async fn chat_and_log(dev: &AgentDev) -> (String, String) {
    let headers = [
        ("accept", "text/event-stream"),
        ("x-amzn-bedrock-agentcore-runtime-session-id", "s-1"),
    ];
    let chat = invoke(dev, &headers, "chat").await;
    let logging = invoke(dev, &[], "log").await;
    (chat, logging)
}

async fn get(dev: &AgentDev, path: &str) -> Value {
    let answer = raw_request(dev.address(), "GET", path, &[], b"").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Waits until a run has this many spans, and returns its details.
async fn run_with_spans(dev: &AgentDev, id: &str, count: usize) -> Value {
    eventually_some(&format!("{count} spans of {id}"), async || {
        let run = get(dev, &format!("/_ppio/dev/runs/{id}")).await;
        let spans = run["traces"][0]["spans"].as_array().map_or(0, Vec::len);
        (spans >= count).then_some(run)
    })
    .await
}

/// Waits for a log line with a target, and returns all such lines.
async fn logged(dev: &AgentDev, target: &str) -> Value {
    let path = format!("/_ppio/dev/logs?target={}", target.replace(':', "%3A"));
    eventually_some(&format!("a line of {target}"), async || {
        let found = get(dev, &path).await;
        (found["logs"] != json!([])).then(|| found["logs"].clone())
    })
    .await
}

/// Runs `agent traces` and returns its exit code and output.
fn traces(dev: &AgentDev, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(AgentDev::program())
        .args(["agent", "traces"])
        .args(arguments)
        .args(["--port", &dev.address().port().to_string()])
        .output()
        .expect("the command runs");
    (
        output.status.code().expect("a code"),
        String::from_utf8(output.stdout).expect("text"),
        String::from_utf8(output.stderr).expect("text"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_and_the_log_of_a_run_survive_a_restart() {
    let dev = develop(env!("CARGO_BIN_EXE_traced-agent"), &[]);
    let (chat, logging) = chat_and_log(&dev).await;
    let run = run_with_spans(&dev, &chat, 6).await;
    let spans = run["traces"][0]["spans"].as_array().expect("spans");
    let seen: Vec<_> = spans
        .iter()
        .map(|span| (&span["depth"], &span["category"], &span["is_error"]))
        .collect();
    let expected = [
        (0, "agent", false),
        (1, "step", false),
        (2, "model", false),
        (2, "tool", false),
        (1, "tool", true),
        (1, "model", false),
    ];
    let expected =
        expected.map(|(depth, category, error)| (json!(depth), json!(category), json!(error)));
    let expected: Vec<_> = expected.iter().map(|(a, b, c)| (a, b, c)).collect();
    assert_eq!(seen, expected, "{spans:#?}");
    assert_eq!(
        run["traces"][0]["tokens"],
        json!({"input": 300, "output": 27})
    );
    assert_eq!(run["traces"][0]["service"], "telemetry-tests");
    let found = run_with_spans(&dev, &logging, 1).await;
    let logs = found["logs"].as_array().expect("a log");
    let logs: Vec<_> = logs
        .iter()
        .filter(|line| line["message"] == "in the agent")
        .collect();
    assert_eq!(logs.len(), 1, "{found:#}");
    assert_eq!(logs[0]["fields"], json!({"answer": 42}));
    assert_eq!(logs[0]["trace_id"], found["traces"][0]["trace_id"]);

    dev.restart_agent();
    let failed = invoke(&dev, &[], "callers-tool").await;
    run_with_spans(&dev, &failed, 1).await;
    let list = get(&dev, "/_ppio/dev/traces").await;
    let runs: Vec<_> = list["traces"]
        .as_array()
        .expect("traces")
        .iter()
        .map(|it| &it["runs"][0])
        .collect();
    assert_eq!(runs, [&json!(failed), &json!(logging), &json!(chat)]);

    // The log contains no lines of the export itself, even at the level of debug mode.
    let output = dev.output();
    assert!(output.contains("in the agent"), "{output}");
    assert!(!output.contains("hyper_util"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_traces_prints_traces_and_the_log_of_a_run() {
    let dev = develop(env!("CARGO_BIN_EXE_traced-agent"), &[]);
    let (chat, logging) = chat_and_log(&dev).await;
    run_with_spans(&dev, &chat, 6).await;
    run_with_spans(&dev, &logging, 1).await;
    let (code, text, _) = traces(&dev, &["list", "--session", "s-1"]);
    assert_eq!(code, 0);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.starts_with("TRACE "), "{text}");
    let row = text.lines().nth(1).expect("a row");
    assert!(
        row.contains("  6      1       327     invoke_agent telemetry-tests  "),
        "{text}"
    );
    assert!(row.ends_with(&chat), "{text}");
    let (_, text, _) = traces(&dev, &["list", "--errors", "--since", "1h", "--json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found[0]["runs"], json!([chat]));
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{text}");
    let trace = found[0]["trace_id"].as_str().expect("an id");
    let (_, text, _) = traces(&dev, &["get", trace]);
    let names: Vec<_> = text
        .lines()
        .skip(1)
        .map(|line| line.chars().skip(11).collect::<String>())
        .collect();
    assert_eq!(
        names[..6],
        [
            "invoke_agent telemetry-tests  300 tokens in, 27 out",
            "  step plan",
            "    chat  100 tokens in, 20 out",
            "    execute_tool weather",
            "  execute_tool broken  error: tool_error",
            "  chat  200 tokens in, 7 out",
        ],
        "{text}"
    );
    let (_, text, _) = traces(&dev, &["get", &logging]);
    assert!(text.contains("\nlog\n"), "{text}");
    assert!(
        text.contains(" INFO traced_agent: in the agent answer=42\n"),
        "{text}"
    );
    let (_, text, _) = traces(&dev, &["get", trace, "--json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["spans"].as_array().map(Vec::len), Some(6));
    for unknown in ["00000000000000000000000000000001", "no-such-run"] {
        let (code, _, error) = traces(&dev, &["get", unknown]);
        assert_eq!(code, 2, "{error}");
        assert!(
            error.contains(unknown) && error.contains("help: list the traces"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_exported_to_the_authors_receiver_instead() {
    let receiver = crate::receiver::Receiver::start().await;
    let url = receiver.url();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
    ];
    let dev = develop(env!("CARGO_BIN_EXE_traced-agent"), &variables);
    let id = invoke(&dev, &[], "log").await;
    receiver.spans(1).await;
    let run = get(&dev, &format!("/_ppio/dev/runs/{id}")).await;
    assert_eq!(run["traces"], json!([]));
    assert_eq!(run["logs"][0]["message"], "in the agent");
}

/// Work that outlives an answer, and a function that blocks, are logged where runs are inspected.
#[tokio::test(flavor = "multi_thread")]
async fn leaked_tasks_and_blocking_functions_are_logged_with_their_run() {
    let dev = develop(env!("CARGO_BIN_EXE_leaking-agent"), &[]);
    let index = invoke(&dev, &[], "index").await;
    let run = run_with_spans(&dev, &index, 2).await;
    let spans = &run["traces"][0]["spans"];
    assert_eq!(spans[1]["name"], "index");
    assert_eq!(spans[1]["outlives_answer"], true);
    // The task does not belong to a request, but its log line has the trace of its span.
    let logs = run["logs"].as_array().expect("a log").iter();
    assert!(
        logs.clone().any(|line| line["message"] == "indexed"),
        "{run:#}"
    );

    let watch = invoke(&dev, &[], "watch").await;
    let left = eventually_some("what the run left behind", async || {
        let left = logged(&dev, "ppio::tasks").await;
        let mut left = left.as_array().expect("lines").iter();
        left.find(|line| line["run_id"] == json!(watch)).cloned()
    })
    .await;
    assert_eq!(
        left["fields"],
        json!({"tasks": 1, "open_spans": "watch_prices"})
    );

    push_notifications_are_not_logged_as_leaked_tasks().await;

    let dev = develop(env!("CARGO_BIN_EXE_slow-agent"), &[]);
    let slow = invoke(&dev, &[], "a").await;
    let line = &logged(&dev, "ppio::blocking").await[0];
    assert_eq!(line["run_id"], json!(slow));
    assert_eq!(line["level"], "warn");
    assert!(line["fields"]["blocked_ms"].as_u64() > Some(50), "{line}");
}

/// The delivery of a push notification that is never acknowledged continues after the answer, and
/// is not counted as a task of the run.
async fn push_notifications_are_not_logged_as_leaked_tasks() {
    let receiver = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", receiver.local_addr().expect("an address"));
    let variables = [("PPIO_AGENT_A2A_PUSH_PRIVATE", "true")];
    let dev = develop(env!("CARGO_BIN_EXE_leaking-agent"), &variables);
    let params = json!({
        "message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "watch"}]},
        "configuration": {"taskPushNotificationConfig": {"url": url}},
    });
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params});
    let headers = [("content-type", "application/json"), ("a2a-version", "1.0")];
    let (address, body) = (dev.address(), call.to_string());
    let answer = raw_request(address, "POST", "/a2a", &headers, body.as_bytes()).await;
    let state = &answer.json()["result"]["task"]["status"]["state"];
    assert_eq!(state, "TASK_STATE_COMPLETED", "{answer:?}");
    let _notification = receiver.accept().await.expect("a notification");
    let left = &logged(&dev, "ppio::tasks").await[0];
    assert_eq!(
        left["fields"],
        json!({"tasks": 1, "open_spans": "watch_prices"})
    );
}
