//! Runs the programs of `docs/python.md` on the local platform.

use std::path::PathBuf;
use std::process::Stdio;

use ppio_agent_client::platform::{LogEntry, LogQuery};
use ppio_agent_client::{Error, SandboxSession};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually_some, example_binary, example_program, with_timeout};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::client_examples::{run, without_variables};
use crate::test_platform::TestPlatform;

async fn program(name: &'static str) -> PathBuf {
    let built = tokio::task::spawn_blocking(move || example_program("from-python", name));
    built.await.unwrap()
}

/// Starts a platform with a template of an agent, under the name that a program uses.
async fn platform_with(template: &str, agent: PathBuf) -> TestPlatform {
    let local = TestPlatform::with(|builder| builder).await;
    local
        .template(TemplateSpec::new(template).binary(agent))
        .await;
    local
}

async fn example_agent(name: &'static str) -> PathBuf {
    let built = tokio::task::spawn_blocking(move || example_binary(name));
    built.await.unwrap()
}

/// Runs a program against the platform and expects it to succeed. Returns its output.
async fn succeed(local: &TestPlatform, name: &'static str, arguments: &[&str]) -> String {
    let mut command = without_variables(program(name).await);
    command.envs(local.platform.environment()).args(arguments);
    let ran = run(command).await;
    assert_eq!(ran.code, Some(0), "{name}\n{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[track_caller]
fn assert_lines(output: &str, lines: &[&str]) {
    for line in lines {
        assert!(output.contains(line), "no {line:?} in\n{output}");
    }
}

/// Returns the log entries of a session that contain a message.
async fn logged(session: &SandboxSession, message: &str) -> Vec<LogEntry> {
    let query = LogQuery {
        search: Some(message.to_owned()),
        ..LogQuery::default()
    };
    eventually_some("an entry of the log", async || {
        let entries = session.logs(&query).await.unwrap();
        (!entries.is_empty()).then_some(entries)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_agent() {
    let local = platform_with("basic", program("basic_agent").await).await;
    let client = local.client();
    let session = client.create_session("basic").await.unwrap();

    let answer = session.invoke(json!({"query": "why?"})).await.unwrap();
    let result = answer.result.unwrap();
    let id = session.sandbox_id();
    assert_eq!(result["sandbox_id"], id);
    assert_eq!(result["response"], format!("query: why?, sandbox: {id}"));
    let processed_at = result["metadata"]["processed_at"].as_str().unwrap();
    humantime::parse_rfc3339(processed_at).unwrap();

    let ping = session.ping().await.unwrap();
    assert_eq!(ping.extra["dependencies"], json!({"database": "ok"}));
    client.close().await.unwrap();
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_agent() {
    let local = platform_with("streaming", program("streaming_agent").await).await;
    let client = local.client();
    let session = client.create_session("streaming").await.unwrap();

    let request = json!({"query": "why?", "max_tokens": 20});
    let mut stream = session.invoke(request).stream().await.unwrap();
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item.unwrap());
    }
    let expected = [
        "Token 0: a part of the result for 'why?'...\n",
        "Token 1: a part of the result for 'why?'...\n",
        "The work on 'why?' is done.",
    ];
    assert_eq!(items, expected);
    logged(&session, "the request took").await;

    // The settings in the agent's code apply: with its quotes, this text is larger than the limit
    // of 2 MiB for requests.
    let large = "x".repeat(2 << 20);
    let error = session.invoke(json!(large)).await.unwrap_err();
    assert_eq!(error.status(), Some(413), "{error}");
    client.close().await.unwrap();
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn framework_agent() {
    let local = platform_with("framework", program("framework_agent").await).await;
    let client = local.client();
    let call = client.invoke_agent("framework", json!({"query": "why"}));
    let expected = json!({
        "response": "WHY!",
        "metadata": { "agent_type": "workflow", "steps": 2 },
    });
    assert_eq!(call.await.unwrap().result, Some(expected));
    client.close().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn monitored_agent() {
    let local = platform_with("monitored", program("monitored_agent").await).await;
    let client = local.client();
    let session = client.create_session("monitored").await.unwrap();

    let answer = session.invoke(json!({"prompt": "hi"})).await.unwrap();
    assert_eq!(answer.result, Some(json!({"message": "HI"})));
    let started = logged(&session, "agent_invocation_started").await;
    let id = session.sandbox_id();
    assert!(started[0].message.contains(id), "{:?}", started[0]);
    logged(&session, "agent_invocation_completed").await;
    let completed = logged(&session, "request_completed").await;
    assert_lines(&completed[0].message, &["POST", "/invocations", "200"]);

    let error = session.invoke(json!({})).await.unwrap_err();
    assert!(matches!(error, Error::Invocation { .. }), "{error}");
    let failed = logged(&session, "agent_invocation_failed").await;
    assert_lines(&failed[0].message, &["`prompt` is missing"]);
    let failed = logged(&session, "request_failed").await;
    assert_lines(
        &failed[0].message,
        &["POST", "/invocations", "`prompt` is missing"],
    );
    client.close().await.unwrap();
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_client() {
    let local = platform_with("data-analysis-agent", example_agent("hello").await).await;
    let output = succeed(&local, "basic_client", &[]).await;
    let result = "result: {\"message\":\"Hello, Please analyse this data!\"}\ntook: 0.";
    assert_lines(&output, &[result]);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates() {
    let local = TestPlatform::with(|builder| builder).await;
    for (name, tags) in [
        ("chat-agent", &["ai"][..]),
        ("data-agent", &["ai", "data-analysis"]),
    ] {
        let document = json!({
            "apiVersion": "v1", "kind": "Agent",
            "metadata": {"name": name, "version": "1.2.3", "author": "a@b.cn", "tags": tags},
            "spec": {"entrypoint": "src/main.rs"},
        });
        let config = serde_json::from_value(document).unwrap();
        let spec = TemplateSpec::new(name).config(config);
        local.template(spec.start_command("true")).await;
    }
    let output = succeed(&local, "templates", &[]).await;
    let lines = [
        "3 templates:", // including the built-in template
        "name: chat-agent\nversion: 1.2.3\nauthor: a@b.cn",
        "  - name: data-agent\n  - version: 1.2.3\n  - author: a@b.cn",
        "  - entrypoint: src/main.rs",
        "agents for data analysis: 1\nchat agents: 1",
        "exists: true",
    ];
    assert_lines(&output, &lines);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation() {
    let local = platform_with("conversation-agent", example_agent("hello").await).await;
    let output = succeed(&local, "conversation", &[]).await;
    let last = "turn 4:\nuser: The plan needs a financial forecast\n\
                agent: {\"message\":\"Hello, The plan needs a financial forecast!\"}\n\
                status: active";
    assert_lines(&output, &["turn 1:\nuser: Hello, I am new here", last]);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycle() {
    let counting = PathBuf::from(env!("CARGO_BIN_EXE_counting-agent"));
    let local = platform_with("data-processing-agent", counting).await;
    let output = succeed(&local, "lifecycle", &[]).await;
    let calls: Vec<_> = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.split_once(": ")?.1).ok())
        .filter_map(|answer| answer["call"].as_u64())
        .collect();
    assert_eq!(calls, [1, 2, 1], "{output}");
    assert_lines(&output, &["paused\nresumed\n"]);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_client() {
    let local = platform_with("story-writer", example_agent("stream").await).await;
    let output = succeed(&local, "streaming_client", &[]).await;
    assert_eq!(output, "Write a story of the future");
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch() {
    let local = platform_with("batch-agent", example_agent("hello").await).await;
    let output = succeed(&local, "batch", &[]).await;
    let expected =
        ["one", "two", "three"].map(|prompt| json!({"message": format!("Hello, {prompt}!")}));
    let expected = expected.map(|result| format!("{result}\n")).concat();
    assert_eq!(output, expected);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries() {
    // The call needs the account's only sandbox, which another client closes later.
    let local = TestPlatform::with(|builder| builder.sandbox_limit(1)).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    let other = client.create_session(&hello).await.unwrap();
    let arguments = [hello.as_str()];
    let (output, closed) = tokio::join!(succeed(&local, "retries", &arguments), other.close());
    closed.unwrap();
    assert_eq!(output, "{\"message\":\"Hello, Ada!\"}\n");

    let mut command = without_variables(program("retries").await);
    command.envs(local.platform.environment()).arg("missing");
    let ran = run(command).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_lines(&ran.stdout, &["the agent failed", "missing"]);
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn web_service() {
    let local = platform_with("customer-service-agent", example_agent("hello").await).await;
    let mut command = without_variables(program("web_service").await);
    command.envs(local.platform.environment());
    let mut service = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(service.stdout.take().unwrap()).lines();
    let line = with_timeout("the first line", lines.next_line()).await;
    let line = line.unwrap().unwrap();
    let address = line.strip_prefix("listening on http://").unwrap();

    for (header, status, text) in [
        (
            "user-id: u1\r\n",
            "200 OK",
            r#""result":{"message":"Hello, Ada!"},"success":true"#,
        ),
        ("", "422 Unprocessable Entity", "no user-id"),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let body = json!({"query": "Ada"}).to_string();
        let request = format!(
            "POST /chat HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             connection: close\r\n{header}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        with_timeout("the answer", socket.read_to_string(&mut answer))
            .await
            .unwrap();
        assert_lines(&answer, &[&format!("HTTP/1.1 {status}\r\n"), text]);
    }
    service.kill().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys() {
    let mut command = without_variables(program("api_keys").await);
    command
        .env("PPIO_API_KEY", "key-of-the-environment")
        .env("CUSTOM_API_KEY", "key-of-another-variable");
    let ran = run(command).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let keys = "key-of-the-environment\nyour-api-key\nkey-of-another-variable\n";
    assert_eq!(ran.stdout, keys);
}
