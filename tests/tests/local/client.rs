//! The client with real agents on the local platform.

use std::time::Duration;

use futures_util::StreamExt as _;
use ppio_agent_client::platform::{LogQuery, SandboxFilter, SandboxState};
use ppio_agent_client::{
    AgentConfig, Error, InvocationOutput, InvocationRequest, ListTemplates, SandboxConfig,
    SessionStatus,
};
use ppio_sandbox_local::{IsolationKind, TemplateSpec};
use ppio_test_support::eventually_some;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::test_platform::TestPlatform;

#[derive(Debug, PartialEq, Deserialize)]
struct Greeting {
    message: String,
}

/// The answer of the counting agent.
#[derive(Debug, Deserialize)]
struct Count {
    call: u64,
    session_id: Option<String>,
    request_id: String,
    traceparent: Option<String>,
    variable: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_answers_in_every_response_format() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    let session = client.create_session(&hello).await.unwrap();

    let answer = session
        .invoke(InvocationRequest::prompt("Ada"))
        .await
        .unwrap();
    assert_eq!(answer.result, Some(json!({"message": "Hello, Ada!"})));
    assert!(answer.duration > 0.0);
    assert!(answer.request_id().is_some());
    let greeting: Greeting = session.invoke("Bob").json().await.unwrap();
    assert_eq!(greeting.message, "Hello, Bob!");
    let InvocationOutput::Value(answer) = session.invoke("Eve").output().await.unwrap() else {
        panic!("hello answers in one piece");
    };
    assert_eq!(answer.result, Some(json!({"message": "Hello, Eve!"})));
    session.close().await.unwrap();

    // The same call without an existing session.
    let answer = client
        .invoke_agent(&hello, json!({"prompt": "Ada"}))
        .await
        .unwrap();
    assert_eq!(answer.result, Some(json!({"message": "Hello, Ada!"})));
    let greeting: Greeting = client.invoke_agent(&hello, "Bob").json().await.unwrap();
    assert_eq!(greeting.message, "Hello, Bob!");
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_are_not_buffered_and_dropping_the_stream_stops_the_agent() {
    let local = TestPlatform::with(|builder| builder).await;
    let stream = local.agent("stream").await;
    let client = local.client();

    let items = client
        .invoke_agent_stream(&stream, "one two three")
        .await
        .unwrap();
    let items: Vec<Value> = items.map(Result::unwrap).collect().await;
    assert_eq!(items, [json!("one "), json!("two "), json!("three")]);

    let session = client.create_session(&stream).await.unwrap();
    let InvocationOutput::Stream(mut items) = session.invoke("a b c d").output().await.unwrap()
    else {
        panic!("stream answers item by item");
    };
    assert_eq!(items.next().await.unwrap().unwrap(), json!("a "));
    // Items come 300 ms apart, so the second one has not arrived yet.
    assert_eq!(
        futures_util::FutureExt::now_or_never(items.next()).map(|_| ()),
        None
    );
    drop(items);

    let error = session.invoke("in one piece").await.unwrap_err();
    assert!(error.report().to_string().contains("stream()"), "{error}");
    let error = session.invoke(json!({"promt": "typo"})).stream().await;
    match error.unwrap_err() {
        Error::Invocation {
            status: Some(422),
            message,
            error_type,
            ..
        } => {
            assert!(message.contains("missing field `prompt`"), "{message}");
            assert_eq!(error_type.as_deref(), Some("ValidationError"));
        }
        other => panic!("{other}"),
    }
    drop(session);
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_agent_keeps_its_memory() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let session = local.client().create_session(&counting).await.unwrap();
    let ask = async || session.invoke("hi").json::<Count>().await;
    assert_eq!(ask().await.unwrap().call, 1);

    session.pause().await.unwrap();
    assert!(session.is_paused().await.unwrap());
    assert!(!session.is_active().await.unwrap());
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Paused);
    let error = ask().await.unwrap_err();
    assert!(error.report().to_string().contains("resume()"), "{error}");
    session.pause().await.expect("pausing twice succeeds");

    session.resume().await.unwrap();
    assert!(session.is_active().await.unwrap());
    assert_eq!(ask().await.unwrap().call, 2, "the same process continues");
    session
        .resume()
        .await
        .expect("resuming a running session is allowed");
    drop(session);
    local.stop_when_empty().await;
}

/// Returns the time at which a sandbox ends, in seconds since the Unix epoch.
async fn end_time(session: &ppio_agent_client::SandboxSession) -> u64 {
    let end = session.info().await.unwrap().end_at.unwrap();
    let end = humantime::parse_rfc3339(&end).unwrap();
    end.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_are_extended_and_an_expired_session_ends() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    let session = client
        .create_session(&hello)
        .timeout(Duration::from_secs(100))
        .await
        .unwrap();
    let first = end_time(&session).await;
    session.set_timeout(Duration::from_secs(200)).await.unwrap();
    let second = end_time(&session).await;
    assert!((98..=105).contains(&(second - first)), "{first} {second}");
    session.set_timeout(Duration::from_secs(50)).await.unwrap();
    let third = end_time(&session).await;
    assert!(third < first, "set_timeout may shorten");
    client
        .platform()
        .refresh_sandbox(session.sandbox_id(), Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(end_time(&session).await, third, "a refresh never shortens");

    // After a pause and a resume, the session has its own timeout again and not the platform's
    // default.
    session.pause().await.unwrap();
    session.resume().await.unwrap();
    assert!(end_time(&session).await >= third);

    session.set_timeout(Duration::from_secs(1)).await.unwrap();
    eventually_some("the end of the session", async || {
        let status = session.get_status().await.unwrap();
        (status == SessionStatus::Closed).then_some(())
    })
    .await;
    let error = session.invoke("anyone?").await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_with_auto_pause_pauses() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let session = local
        .client()
        .create_session(&counting)
        .auto_pause(true)
        .await
        .unwrap();
    session.invoke("hi").await.unwrap();
    session.set_timeout(Duration::from_secs(1)).await.unwrap();
    eventually_some("a paused session", async || {
        session.is_paused().await.unwrap().then_some(())
    })
    .await;
    // Another client reads from the platform that the session pauses at its end.
    let other = local.client();
    let found = other.get_session(session.sandbox_id()).await.unwrap();
    let found = found.unwrap();
    assert!(found.info().await.unwrap().pauses_at_its_end);
    found.resume().await.unwrap();
    assert_eq!(found.invoke("hi").json::<Count>().await.unwrap().call, 2);
    session.close().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_found_listed_and_closed_by_other_clients() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let maker = local.client();
    let session = maker
        .create_session(&counting)
        .metadata("user", "42")
        .env("MODEL", "large")
        .timeout(Duration::from_secs(1234))
        .await
        .unwrap();
    let variable = session
        .invoke(json!({"variable": "MODEL"}))
        .json::<Count>()
        .await
        .unwrap()
        .variable;
    assert_eq!(variable.as_deref(), Some("large"));

    let other = local.client();
    let listed = other.list_sessions().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].sandbox_id(), session.sandbox_id());
    assert_eq!(listed[0].template_id(), session.template_id());
    let found = other.get_session(session.session_id()).await.unwrap();
    let found = found.expect("the session is found");
    assert_eq!(found.timeout(), Duration::from_secs(1234));
    assert_eq!(found.host_url(), session.host_url());
    assert!(found.age() <= session.age() + Duration::from_secs(2));
    let count = found.invoke("hi").json::<Count>().await.unwrap();
    assert_eq!(count.call, 2);
    assert_eq!(count.session_id.as_deref(), Some(session.sandbox_id()));
    // The session from the list has the daemon's token, which `get_session` has received.
    assert!(listed[0].envd().exists("/app").await.unwrap());

    let facts = [("user".to_owned(), "42".to_owned())].into();
    let filter = SandboxFilter {
        metadata: facts,
        states: vec![SandboxState::Running],
        ..SandboxFilter::default()
    };
    let platform = other.platform();
    assert_eq!(platform.list_sandboxes(&filter).await.unwrap().len(), 1);
    let by_v1 = platform.list_running_sandboxes(&filter.metadata).await;
    assert_eq!(by_v1.unwrap().len(), 1);
    let other_user = [("user".to_owned(), "43".to_owned())].into();
    let none = platform.list_running_sandboxes(&other_user).await.unwrap();
    assert!(none.is_empty());

    other.close_session(session.sandbox_id()).await.unwrap();
    assert_eq!(local.platform.sandbox_count(), 0);
    assert_eq!(session.get_status().await.unwrap(), SessionStatus::Closed);
    let gone = other.get_session(session.sandbox_id()).await.unwrap();
    assert!(gone.is_none());
    let error = other.close_session(session.sandbox_id()).await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }));
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invoke_agent_runtime_maps_session_ids_of_the_caller_to_sandboxes() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let client = local.client();
    let id = format!("counting-{counting}");
    let arn = format!("arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/{id}");
    let call_of = async |agent: &str, session: Option<&str>| {
        let mut call = client.invoke_agent_runtime(agent, r#"{"prompt": "hi"}"#);
        if let Some(session) = session {
            call = call.runtime_session_id(session);
        }
        let answer = call.await.unwrap();
        let InvocationOutput::Value(value) = answer.output else {
            panic!("a value")
        };
        let count: Count = serde_json::from_value(value.result.unwrap()).unwrap();
        (count.call, answer.runtime_session_id)
    };
    let user = Some("user-1");
    assert_eq!(call_of(&id, user).await, (1, "user-1".to_owned()));
    assert_eq!(call_of(&arn, user).await, (2, "user-1".to_owned()));
    assert_eq!(call_of(&id, Some("user-2")).await.0, 1);
    let (call, anonymous) = call_of(&id, None).await;
    assert_eq!(call, 1);
    assert_eq!(call_of(&id, Some(&anonymous)).await.0, 2);
    assert_eq!(local.platform.sandbox_count(), 3);

    let error = client.invoke_agent_runtime("missing-iunknown", "hi").await;
    let error = error.unwrap_err();
    assert!(
        matches!(error.root(), Error::TemplateNotFound { .. }),
        "{error}"
    );
    client.close().await.unwrap();
    local.stop_when_empty().await;
}

/// Returns the `agent.yaml` document of an agent with tags.
fn document(name: &str, tags: &[&str]) -> AgentConfig {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Agent",
        "metadata": {
            "name": name, "version": "1.2.3", "author": "dev@example.com",
            "description": "Talks.", "tags": tags,
        },
        "spec": { "entrypoint": "src/main.rs", "runtime": { "timeout": 7 }, "dependencies": ["tokio"] },
    }))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_found_by_name_and_tag_and_describe_their_agent() {
    let local = TestPlatform::with(|builder| builder).await;
    let spec = |name: &str, tags: &[&str]| {
        let spec = TemplateSpec::new(name).start_command("true");
        spec.config(document(name, tags)).memory_mb(2048)
    };
    let chat = local.template(spec("chat-bot", &["ai", "chat"])).await;
    local.template(spec("data-bot", &["ai", "data"])).await;
    local
        .template(TemplateSpec::new("plain").start_command("true"))
        .await;
    let client = local.client();
    let names = async |list: ListTemplates| {
        let templates = list.await.unwrap();
        let mut names: Vec<_> = templates.into_iter().map(|t| t.name).collect();
        names.retain(|name| name != "base");
        names.sort();
        names
    };
    let any = || client.list_templates();
    assert_eq!(names(any()).await, ["chat-bot", "data-bot", "plain"]);
    assert_eq!(names(any().tag("ai")).await, ["chat-bot", "data-bot"]);
    assert_eq!(names(any().tags(["ai", "data"])).await, ["data-bot"]);
    assert_eq!(names(any().name("BOT")).await, ["chat-bot", "data-bot"]);
    assert_eq!(names(any().name("chat").tag("ai")).await, ["chat-bot"]);
    assert!(names(any().tag("cooking")).await.is_empty());

    let template = client.get_template(&chat).await.unwrap();
    assert_eq!(template.template_id, chat);
    assert_eq!(template.version, "1.2.3");
    assert_eq!(template.author.as_deref(), Some("dev@example.com"));
    assert_eq!(template.description.as_deref(), Some("Talks."));
    assert_eq!(template.status, "ready");
    assert_eq!(template.dependencies, ["tokio"]);
    assert_eq!(template.runtime_info.memory, Some(2048 << 20));
    assert!(template.size.is_some() && template.created_at.is_some());
    assert!(template.build_time.is_some(), "the build time is read");
    let config = template.agent_config().unwrap().unwrap();
    assert_eq!(config.metadata.name.as_str(), "chat-bot");

    let by_name = client.templates().get_template("chat-bot").await.unwrap();
    assert_eq!(by_name.template_id, chat);
    assert!(
        client
            .templates()
            .template_exists("data-bot")
            .await
            .unwrap()
    );
    assert!(!client.templates().template_exists("missing").await.unwrap());
    let error = client.get_template("missing").await.unwrap_err();
    assert!(matches!(error, Error::TemplateNotFound { .. }));
    let error = client.create_session("missing").await.unwrap_err();
    assert!(
        matches!(error.root(), Error::TemplateNotFound { .. }),
        "{error}"
    );

    let platform = client.platform();
    platform.assign_tags("chat-bot", &["stable"]).await.unwrap();
    let tags = platform.list_tags(&chat).await.unwrap();
    assert!(tags.iter().any(|tag| tag.tag == "stable"), "{tags:?}");
    platform.remove_tags("chat-bot", &["stable"]).await.unwrap();
    let tags = platform.list_tags(&chat).await.unwrap();
    assert!(tags.iter().all(|tag| tag.tag != "stable"), "{tags:?}");
    let alias = platform.resolve_alias("chat-bot").await.unwrap();
    assert_eq!(alias.template_id, chat);
    assert!(platform.delete_template(&chat).await.unwrap());
    assert!(!platform.delete_template(&chat).await.unwrap());
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_does_not_meet_its_config_is_killed() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    let with = |config| client.create_session(&hello).config(config);
    let enough = SandboxConfig {
        memory_limit: Some("512Mi".parse().unwrap()),
        cpu_limit: Some("1".parse().unwrap()),
        ..SandboxConfig::default()
    };
    with(enough).await.unwrap().close().await.unwrap();
    for (field, config) in [
        (
            "memory_limit",
            SandboxConfig {
                memory_limit: Some("64Gi".parse().unwrap()),
                ..SandboxConfig::default()
            },
        ),
        (
            "cpu_limit",
            SandboxConfig {
                cpu_limit: Some("64".parse().unwrap()),
                ..SandboxConfig::default()
            },
        ),
    ] {
        let error = with(config).await.unwrap_err();
        assert!(matches!(error, Error::SandboxCreation { .. }), "{error}");
        assert!(error.report().to_string().contains(field), "{error}");
        assert_eq!(local.platform.sandbox_count(), 0);
    }
    let offline = SandboxConfig {
        allow_internet_access: Some(false),
        ..SandboxConfig::default()
    };
    with(offline).await.unwrap().close().await.unwrap();
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_waits_for_its_requested_ports() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    // No program in the sandbox ever listens on this port.
    let config = SandboxConfig {
        ports: vec![8080, 39_471],
        start_timeout: Some(Duration::from_secs(1)),
        ..SandboxConfig::default()
    };
    let error = client.create_session(&hello).config(config).await;
    let error = error.unwrap_err().report().to_string();
    assert!(error.contains("port 39471"), "{error}");
    assert_eq!(local.platform.sandbox_count(), 0);
    let config = SandboxConfig {
        ports: Vec::new(),
        ..SandboxConfig::default()
    };
    let error = client.create_session(&hello).config(config).await;
    assert!(matches!(error.unwrap_err(), Error::Validation { field, .. } if field == "ports"));
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_logs_and_metrics() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let client = local.client();
    let session = client.create_session(&counting).await.unwrap();
    session.invoke("hi").await.unwrap();
    let query = LogQuery {
        search: Some("this is call".into()),
        ..LogQuery::default()
    };
    let entries = eventually_some("an entry of the log", async || {
        let entries = session.logs(&query).await.unwrap();
        (!entries.is_empty()).then_some(entries)
    })
    .await;
    assert_eq!(entries[0].message, "this is call 1");
    let id = session.sandbox_id();
    let all = LogQuery::default();
    let old = client.platform().sandbox_logs_v1(id, &all).await.unwrap();
    assert!(old.iter().any(|entry| entry.message == "this is call 1"));

    let metrics = session.metrics(None, None).await.unwrap();
    let latest = metrics.last().expect("one sample at least");
    assert!(latest.cpu_count > 0 && latest.mem_total > 0, "{latest:?}");
    session.close().await.unwrap();
    let error = session.logs(&query).await.unwrap_err();
    assert!(matches!(error, Error::SessionNotFound { .. }), "{error}");
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_id_and_the_trace_of_a_call_are_sent_to_the_agent() {
    let local = TestPlatform::with(|builder| builder).await;
    let counting = local.counting_agent().await;
    let session = local.client().create_session(&counting).await.unwrap();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let incoming = http::HeaderMap::from_iter([(
        http::HeaderName::from_static("traceparent"),
        http::HeaderValue::from_static(parent),
    )]);
    let count = session
        .invoke("hi")
        .request_id("order-42")
        .trace_context(&incoming)
        .json::<Count>()
        .await
        .unwrap();
    assert_eq!(count.request_id, "order-42");
    assert_eq!(count.traceparent.as_deref(), Some(parent));
    drop(session);
    local.stop_when_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_dropped_at_any_time_leaves_no_sandbox() {
    let local = TestPlatform::with(|builder| builder).await;
    let hello = local.agent("hello").await;
    let client = local.client();
    let mut pause = Duration::ZERO;
    let mut finished = 0;
    // The attempts are cancelled ever later, in steps of a millisecond, until sessions are created.
    while finished < 3 {
        let creating = std::future::IntoFuture::into_future(client.create_session(&hello));
        if let Ok(session) = tokio::time::timeout(pause, creating).await {
            drop(session.unwrap());
            finished += 1;
        }
        pause += Duration::from_millis(1);
    }
    client.close().await.unwrap();
    local.stop_when_empty().await;
}

/// The source of an agent that needs only Python's standard library.
const PYTHON_AGENT: &str = r#"
import http.server, json, os

class Agent(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({"status": "ok"})
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer({"python": request["prompt"], "in": os.getcwd()})

port = int(os.environ.get("PPIO_AGENT_PORT", "8080"))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Agent).serve_forever()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_agent_is_started_in_its_sandbox() {
    let local = TestPlatform::with(|builder| builder).await;
    assert_eq!(
        local.platform.isolation(),
        IsolationKind::Bubblewrap,
        "only bubblewrap can give an agent the folder `/app`; install bubblewrap"
    );
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("agent.py"), PYTHON_AGENT).unwrap();
    let document = |entrypoint: &str| -> AgentConfig {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Agent",
            "metadata": {"name": "python", "version": "1", "author": "a@b.cn"},
            "spec": {"entrypoint": entrypoint},
        }))
        .unwrap()
    };
    let spec = |name: &str| TemplateSpec::new(name).directory(directory.path());
    let python = local.template(spec("python").config(document("agent.py")));
    let python = python.await;
    let client = local.client();
    let answer = client.invoke_agent(&python, "hi").await.unwrap();
    assert_eq!(answer.result, Some(json!({"python": "hi", "in": "/app"})));

    // The agent's error is reported immediately, not after the start timeout.
    std::fs::write(directory.path().join("broken.py"), "import nothing_like_it").unwrap();
    let broken = local.template(spec("broken").config(document("broken.py")));
    let broken = broken.await;
    let error = client.create_session(&broken).await.unwrap_err();
    let text = error.report().to_string();
    assert!(
        text.contains("exit code 1") && text.contains("nothing_like_it"),
        "{text}"
    );
    local.stop_when_empty().await;
}
