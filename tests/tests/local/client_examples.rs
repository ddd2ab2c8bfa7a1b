//! Runs the client's examples as a reader would: as processes with variables, on the local
//! platform.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ppio_agent_client::platform::LogQuery;
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually_some, example_binary, with_timeout};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::test_platform::TestPlatform;

/// Environment variables of the developer, which could connect an example to another platform.
const REMOVED_VARIABLES: [&str; 16] = [
    "PPIO_API_KEY",
    "PPIO_ACCESS_TOKEN",
    "PPIO_DOMAIN",
    "PPIO_API_URL",
    "PPIO_SANDBOX_URL",
    "PPIO_DEBUG",
    "PPIO_TEMPLATE_ID",
    "E2B_API_KEY",
    "E2B_DOMAIN",
    "E2B_API_URL",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
];

async fn example(name: &'static str) -> Command {
    let built = tokio::task::spawn_blocking(move || example_binary(name));
    without_variables(built.await.unwrap())
}

/// Returns a command that runs a program without the developer's variables.
pub(crate) fn without_variables(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    for variable in REMOVED_VARIABLES {
        command.env_remove(variable);
    }
    command.kill_on_drop(true);
    command
}

pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn run(mut command: Command) -> Ran {
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.expect("the process ends in time").unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs an example with these variables, which must succeed, and returns its standard output.
async fn succeed(
    name: &'static str,
    variables: &BTreeMap<String, String>,
    arguments: &[&str],
) -> String {
    let mut command = example(name).await;
    command.envs(variables).args(arguments);
    let ran = run(command).await;
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_without_settings_print_their_usage() {
    for name in [
        "client-basic",
        "client-streaming",
        "client-lifecycle",
        "client-batch",
        "backend-axum",
    ] {
        let mut command = example(name).await;
        // An empty variable counts as not set.
        command.env("PPIO_TEMPLATE_ID", " ");
        let ran = run(command).await;
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("usage:"), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("PPIO_API_KEY"), "{name}");

        // The template is set, but the API key is not.
        let mut command = example(name).await;
        command.env("PPIO_TEMPLATE_ID", "my-agent");
        let ran = run(command).await;
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("no API key: set PPIO_API_KEY"),
            "{name}"
        );
        assert!(ran.stderr.contains("usage:"), "{name}: {}", ran.stderr);
    }
    let ran = run(example("client-templates").await).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no API key") && ran.stderr.contains("usage:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn basic() {
    let local = TestPlatform::with(|builder| builder).await;
    local.agent("hello").await;
    let variables = local.platform.environment();
    // The template is selected by its name, as a reader would do.
    let said = succeed("client-basic", &variables, &["hello", "Ada"]).await;
    assert!(
        said.contains(r#"result: {"message":"Hello, Ada!"}"#),
        "{said}"
    );
    assert_eq!(local.platform.sandbox_count(), 0, "sandboxes are left");

    // The variables of the E2B packages lead to the same platform.
    let e2b: BTreeMap<_, _> = variables
        .iter()
        .filter(|(name, _)| name.starts_with("E2B_"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let said = succeed("client-basic", &e2b, &["hello", "Bob"]).await;
    assert!(said.contains("Hello, Bob!"), "{said}");

    let mut command = example("client-basic").await;
    command.envs(&variables).arg("missing");
    let ran = run(command).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("template \"missing\" not found"),
        "{}",
        ran.stderr
    );
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming() {
    let local = TestPlatform::with(|builder| builder).await;
    local.agent("stream").await;
    let variables = local.platform.environment();
    let said = succeed("client-streaming", &variables, &["stream", "one two three"]).await;
    assert_eq!(said, "one two three\n(the end)\n");
    assert_eq!(local.platform.sandbox_count(), 0);

    // After Ctrl-C in the middle, no sandbox is left and the exit code is 0.
    let mut command = example("client-streaming").await;
    let long = "word ".repeat(1000);
    command.envs(&variables).args(["stream", &long]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 5];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"word ");
    interrupt(&child);
    let status = with_timeout("the end of the example", child.wait()).await;
    assert!(status.unwrap().success());
    assert_eq!(local.platform.sandbox_count(), 0);
    local.stop_when_empty().await;
}

fn interrupt(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lifecycle() {
    let local = TestPlatform::with(|builder| builder).await;
    local.counting_agent().await;
    let variables = local.platform.environment();
    let said = succeed("client-lifecycle", &variables, &["counting"]).await;
    for line in [
        "paused: true",
        "call resume() first",
        "status: active",
        "closed after",
    ] {
        assert!(said.contains(line), "no {line:?} in\n{said}");
    }
    let calls: Vec<_> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.split_once(" -> ")?.1).ok())
        .filter_map(|answer| answer["call"].as_u64())
        .collect();
    assert_eq!(
        calls,
        [1, 2, 3, 1],
        "memory is kept until the session is closed"
    );
    assert_eq!(local.platform.sandbox_count(), 0);
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let variables = local.platform.environment();
    let said = succeed("client-batch", &variables, &[&hello, "50", "50"]).await;
    println!("{said}");
    assert!(said.contains("50 answered, 0 failed"), "{said}");
    assert_eq!(local.platform.sandbox_count(), 0);
    local.stop_when_empty().await;

    // The account allows fewer sandboxes than calls: refused calls are repeated later and then
    // succeed.
    let local = TestPlatform::with(|builder| builder.sandbox_limit(4)).await;
    let hello = local.agent("hello").await;
    let variables = local.platform.environment();
    let said = succeed("client-batch", &variables, &[&hello, "12", "4"]).await;
    assert!(said.contains("12 answered, 0 failed"), "{said}");
    let mut command = example("client-batch").await;
    command.envs(&variables).args([&hello, "12", "none"]);
    assert_eq!(run(command).await.code, Some(2));
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn templates() {
    let local = TestPlatform::with(|builder| builder).await;
    let document = json!({
        "apiVersion": "v1", "kind": "Agent",
        "metadata": {"name": "chat-bot", "version": "1.2.3", "author": "a@b.cn", "tags": ["ai"]},
        "spec": {"entrypoint": "src/main.rs"},
    });
    let spec = TemplateSpec::new("chat-bot").config(serde_json::from_value(document).unwrap());
    let chat = local.template(spec.start_command("true")).await;
    let variables = local.platform.environment();
    let listed = |arguments: &'static [&'static str]| {
        let variables = variables.clone();
        async move { succeed("client-templates", &variables, arguments).await }
    };
    assert!(listed(&[]).await.contains("chat-bot 1.2.3  ready"));
    assert!(
        listed(&["--tag", "ai", "--name", "CHAT"])
            .await
            .starts_with("1 templates")
    );
    assert!(
        listed(&["--tag", "cooking"])
            .await
            .starts_with("0 templates")
    );
    let shown = succeed("client-templates", &variables, &[&chat]).await;
    for line in [
        "author       a@b.cn",
        "tags         default, ai",
        "entrypoint   src/main.rs",
    ] {
        assert!(shown.contains(line), "no {line:?} in\n{shown}");
    }
    assert!(!shown.contains("built in     -"), "{shown}");
    local.stop_when_empty().await;
}

/// The running example `backend-axum`.
struct Backend {
    child: Child,
    address: String,
}

impl Backend {
    async fn start(local: &TestPlatform, template: &str) -> Self {
        let mut command = example("backend-axum").await;
        command
            .envs(local.platform.environment())
            .args([template, "127.0.0.1:0"])
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = with_timeout("the next line", lines.next_line()).await;
            let line = line.unwrap().expect("the backend runs");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        // The log is written to the same pipe, which is read so that it does not become full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, address }
    }

    /// Sends a question and returns the socket, from which the answer can be read.
    async fn ask(&self, body: &Value) -> BufReader<TcpStream> {
        let mut socket = TcpStream::connect(&self.address).await.unwrap();
        let body = body.to_string();
        let request = format!(
            "POST /chat HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nconnection: \
             close\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        BufReader::new(socket)
    }

    async fn answer(&self, body: &Value) -> String {
        let mut text = String::new();
        let mut answer = self.ask(body).await;
        let read = with_timeout("the answer", answer.read_to_string(&mut text)).await;
        read.unwrap();
        text
    }

    async fn stop(mut self) {
        interrupt(&self.child);
        let status = with_timeout("the end of the example", self.child.wait()).await;
        assert!(status.unwrap().success());
    }
}

/// Returns the data of the events with this name.
fn events(answer: &str, name: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut current = "";
    for line in answer.lines() {
        if let Some(event) = line.strip_prefix("event: ") {
            current = event;
        } else if let Some(data) = line.strip_prefix("data: ")
            && current == name
        {
            found.push(serde_json::from_str(data).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn backend() {
    let local = TestPlatform::with(|builder| builder).await;
    let stream = local.agent("stream").await;
    let backend = Backend::start(&local, &stream).await;

    let answer = backend.answer(&json!({"prompt": "one two"})).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(events(&answer, "message"), [json!("one "), json!("two")]);
    assert_eq!(events(&answer, "end").len(), 1);
    let conversation = events(&answer, "conversation")[0]["id"].clone();
    let again = json!({"prompt": "three", "conversation": conversation});
    let answer = backend.answer(&again).await;
    assert_eq!(events(&answer, "message"), [json!("three")]);
    assert_eq!(
        local.platform.sandbox_count(),
        1,
        "one sandbox for the conversation"
    );

    // A browser that disconnects during an answer cancels the invocation, which is logged.
    let long = json!({"prompt": "word ".repeat(1000), "conversation": conversation});
    let mut leaving = backend.ask(&long).await;
    let mut line = String::new();
    while !line.starts_with("event: message") {
        line.clear();
        let read = with_timeout("a line", leaving.read_line(&mut line)).await;
        assert!(read.unwrap() > 0, "the answer ended");
    }
    drop(leaving);
    let client = local.client();
    let id = conversation.as_str().unwrap();
    let query = LogQuery {
        search: Some("cancelled".into()),
        ..LogQuery::default()
    };
    eventually_some("an entry of the log", async || {
        let logs = client.platform().sandbox_logs(id, &query).await.unwrap();
        (!logs.is_empty()).then_some(())
    })
    .await;

    // An error is reported by its status and code.
    let answer = backend.answer(&json!({"conversation": conversation})).await;
    assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    client.close_session(id).await.unwrap();
    let answer = backend.answer(&again).await;
    assert!(answer.starts_with("HTTP/1.1 410"), "{answer}");
    assert!(
        answer.contains(r#"{"error":"session_not_found"}"#),
        "{answer}"
    );
    let answer = backend.answer(&again).await;
    assert_eq!(
        events(&answer, "message"),
        [json!("three")],
        "a new sandbox"
    );

    backend.stop().await;
    assert_eq!(local.platform.sandbox_count(), 0, "sandboxes are left");
    local.stop_when_empty().await;
}

/// Starts a proxy that connects every host to one address. Returns the proxy's address and the
/// heads of the requests that the proxy receives.
async fn proxy(target: std::net::SocketAddr) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                seen.lock().unwrap().push(head.clone());
                let mut server = TcpStream::connect(target).await?;
                if head.starts_with("CONNECT ") {
                    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
                } else {
                    server.write_all(head.as_bytes()).await?;
                }
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (address, heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_used() {
    let local =
        TestPlatform::with(|builder| builder.tls(true).allow_host("platform.invalid")).await;
    local.agent("hello").await;
    let (address, heads) = proxy(local.platform.address()).await;
    let mut variables = local.platform.environment();
    // `platform.invalid` cannot be resolved, so requests that arrive have passed through the proxy.
    for (scheme, variable) in [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY")] {
        variables.retain(|name, _| !name.to_ascii_lowercase().ends_with("_proxy"));
        let url = format!("{scheme}://platform.invalid");
        variables.insert("PPIO_API_URL".into(), url.clone());
        variables.insert("PPIO_SANDBOX_URL".into(), url);
        variables.insert(variable.into(), format!("http://me:secret@{address}"));
        heads.lock().unwrap().clear();
        let said = succeed("client-basic", &variables, &["hello", scheme]).await;
        assert!(said.contains(&format!("Hello, {scheme}!")), "{said}");
        let heads = heads.lock().unwrap().clone();
        let start = match scheme {
            "https" => "CONNECT platform.invalid:443 ",
            _ => "POST http://platform.invalid/sandboxes ",
        };
        assert!(
            heads.iter().any(|head| head.starts_with(start)),
            "{heads:?}"
        );
        // "me:secret" in Base64, in lower case.
        let credentials = "proxy-authorization: basic bwu6c2vjcmv0";
        let has_credentials = |head: &String| head.to_ascii_lowercase().contains(credentials);
        assert!(heads.iter().all(has_credentials), "{heads:?}");

        // A request to a host in `NO_PROXY` bypasses the proxy, and fails because the host cannot
        // be resolved.
        variables.insert("NO_PROXY".into(), "platform.invalid".into());
        let mut command = example("client-basic").await;
        command.envs(&variables).arg("hello");
        let ran = run(command).await;
        assert_eq!(ran.code, Some(1));
        assert!(
            ran.stderr.contains("cannot connect to platform.invalid"),
            "{}",
            ran.stderr
        );
    }
    local.stop_when_empty().await;
}
