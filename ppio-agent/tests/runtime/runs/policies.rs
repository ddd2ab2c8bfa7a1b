//! How the disconnect policy of an invocation is selected, and its effect.

use ppio::{AgentRuntimeApp, OnDisconnect, RequestContext, RuntimeConfig, Value};

use super::support::{Scripted, request};
use crate::support::{TestServer, config, echo, get, invocation_with, with_timeout};

mod annotated {
    #[ppio::entrypoint(
        config = ppio::RuntimeConfig::new().host("127.0.0.1").port(0),
        on_disconnect = "continue",
        session_concurrency = "reject"
    )]
    async fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}

mod annotated_without_config {
    #[ppio::entrypoint(on_disconnect = "continue")]
    async fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}

mod annotated_over_config {
    #[ppio::entrypoint(
        config = ppio::RuntimeConfig::new()
            .port(0)
            .on_disconnect(ppio::OnDisconnect::Continue),
        on_disconnect = "cancel"
    )]
    async fn agent(request: ppio::Value) -> ppio::Value {
        request
    }
}

/// Whether an app keeps the answer to a request with these headers, so that it can be read again.
async fn keeps(app: AgentRuntimeApp, headers: &str) -> bool {
    use ppio::testing::TestAgent;
    let agent = TestAgent::new(app);
    let mut post = agent
        .request(ppio::http::Method::POST, "/invocations")
        .json(&1);
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").expect("a header line");
        post = post.header(name, value);
    }
    let answer = post.send().await;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-request-id"]
        .to_str()
        .expect("an id")
        .to_owned();
    let path = format!("/invocations/{id}");
    agent
        .request(ppio::http::Method::GET, &path)
        .send()
        .await
        .status()
        == 200
}

fn built(config: RuntimeConfig) -> AgentRuntimeApp {
    let builder = AgentRuntimeApp::builder().entrypoint(|request: Value| async { request });
    builder.config(config).build().expect("an app")
}

#[tokio::test]
async fn the_policy_comes_from_caller_attribute_builder_or_configuration() {
    use OnDisconnect::{Cancel, Continue};
    let new = RuntimeConfig::new;
    let annotated = |module: &str| {
        let module = format!("{}::{module}", module_path!());
        AgentRuntimeApp::annotated_in(&module).expect("an app")
    };
    let builder = || AgentRuntimeApp::builder().entrypoint(|request: Value| async { request });
    for (app, headers, kept) in [
        (built(new()), "", false),
        (built(new()), "ppio-on-disconnect: continue", true),
        (built(new()), "ppio-stream-ids: true", true),
        (built(new()), "idempotency-key: k", true),
        (built(new()), "prefer: handling=lenient", false),
        (built(new().on_disconnect(Continue)), "", true),
        (
            built(new().on_disconnect(Continue)),
            "ppio-on-disconnect: cancel",
            false,
        ),
        (annotated("annotated"), "", true),
        (annotated("annotated"), "ppio-on-disconnect: cancel", false),
        (annotated("annotated_without_config"), "", true),
        (annotated("annotated_over_config"), "", false),
        (builder().on_disconnect(Continue).build().unwrap(), "", true),
        // The order of the calls does not matter.
        (
            builder()
                .on_disconnect(Continue)
                .config(new())
                .build()
                .unwrap(),
            "",
            true,
        ),
        (
            builder()
                .config(new().on_disconnect(Continue))
                .on_disconnect(Cancel)
                .build()
                .unwrap(),
            "",
            false,
        ),
    ] {
        assert_eq!(keeps(app, headers).await, kept, "{headers}");
    }
}

#[tokio::test]
async fn a_run_is_cancelled_when_its_last_reader_disconnects() {
    // The caller requests only stream ids: the policy is `cancel` without a grace period.
    let agent = Scripted::start(config()).await;
    let mut caller = agent.server.connect().await;
    let headers = "ppio-stream-ids: true\r\nx-request-id: r\r\n";
    caller
        .write(invocation_with(headers, r#"{"stream": true}"#))
        .await;
    let started = agent.started().await;
    started.item(1);
    caller.head().await;
    let mut second = agent.server.connect().await;
    second.write(get("/invocations/r/events")).await;
    second.head().await;
    drop(caller);
    // The second reader keeps the invocation running.
    started.item(2);
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("id: 2") {
        read.extend(second.chunk().await.expect("an item"));
    }
    assert_eq!(agent.state("r").await["status"], "running");
    drop(second);
    started.wait_dropped().await;
    agent.has_status("r", "cancelled").await;
    agent.server.idle().await;
    let cancelled = "invocations_total{outcome=\"cancelled\"}";
    assert_eq!(agent.server.metric(cancelled).await, 1);
}

#[tokio::test]
async fn the_context_has_the_id_of_the_run() {
    let app = AgentRuntimeApp::builder()
        .config(config().on_disconnect(OnDisconnect::Continue))
        .entrypoint(
            |_: Value, context: RequestContext| async move { context.request_id().to_owned() },
        )
        .build();
    let server = TestServer::start(app).await;
    for _ in 0..2 {
        let answer = server
            .send(invocation_with("x-request-id: same\r\n", "1"))
            .await;
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert_eq!(answer.result(), id);
    }
}

#[tokio::test]
async fn a_synchronous_iterator_continues_without_its_caller() {
    let app = AgentRuntimeApp::builder()
        .config(config().on_disconnect(OnDisconnect::Continue))
        .entrypoint(|count: u64| {
            ppio::SseIter((0..count).map(|number| {
                std::thread::sleep(std::time::Duration::from_micros(50));
                Ok::<_, ppio::Error>(number)
            }))
        })
        .build();
    let server = TestServer::start(app).await;
    let request_line = invocation_with("x-request-id: iterator\r\n", "2000");
    let mut caller = server.connect().await;
    caller.write(request_line).await;
    caller.head().await;
    drop(caller);
    let end = request("GET", "/invocations/iterator/events", "");
    let mut reader = server.connect().await;
    reader.write(end).await;
    let all = super::support::events(&with_timeout("the end", reader.answer()).await);
    assert_eq!(all.len(), 2001);
}

/// The id of a run gives access to the run, so its random bits come from the operating system.
#[tokio::test]
async fn run_ids_cannot_be_predicted() {
    let continuing = config().on_disconnect(OnDisconnect::Continue);
    let inspecting = config().debug(true);
    for (config, headers) in [
        (config(), "ppio-on-disconnect: continue\r\n"),
        (config(), "ppio-stream-ids: true\r\n"),
        (config(), "prefer: respond-async\r\n"),
        (config(), "idempotency-key: KEY\r\n"),
        (continuing, ""),
        (inspecting, ""),
    ] {
        let server = TestServer::start(echo(config)).await;
        let mut ids = Vec::new();
        for key in ["1", "2"] {
            // The agent runs in this thread, so ids from `fastrand` would repeat.
            fastrand::seed(7);
            let headers = headers.replace("KEY", key);
            let answer = server.send(invocation_with(&headers, "1")).await;
            assert!(answer.status < 300, "{}", answer.text());
            ids.push(answer.header("x-request-id").unwrap().to_owned());
        }
        assert_ne!(ids[0], ids[1], "{headers}");
    }
}
