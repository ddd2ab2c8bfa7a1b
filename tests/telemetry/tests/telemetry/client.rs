//! Tests one trace from a client through the local platform and an agent to the service that the
//! agent calls.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use ppio_sandbox_local::{LocalPlatform, TemplateSpec};
use ppio_test_support::{example_binary_alone, with_timeout};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::otlp::Span;
use crate::receiver::Receiver;

type Headers = Arc<Mutex<Option<HeaderMap>>>;

/// Starts a service that answers with the weather; returns its URL and the headers it received.
async fn weather() -> (String, Headers) {
    let headers = Headers::default();
    let answer = async |State(seen): State<Headers>, headers: HeaderMap| {
        *seen.lock().unwrap() = Some(headers);
        "20 degrees"
    };
    let router = Router::new()
        .route("/", get(answer))
        .with_state(Arc::clone(&headers));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, headers)
}

/// Runs the example `client-traced`, which invokes the example `traced` on a separate local
/// platform. Both export to the receiver at `receiver`.
async fn call_in_a_trace(receiver: &str, weather: String) {
    let home = tempfile::tempdir().unwrap();
    let platform = LocalPlatform::builder().home(home.path()).port(0);
    let platform = platform.start().await.unwrap();
    // In a workspace build, the reqwest of these examples would have the features of other clients.
    let build = |name| tokio::task::spawn_blocking(move || example_binary_alone(name));
    let agent = TemplateSpec::new("traced")
        .binary(build("traced").await.unwrap())
        .variable("WEATHER_URL", weather)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", receiver)
        .variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1");
    let template = platform.build_template(agent).await.unwrap();
    let output = Command::new(build("client-traced").await.unwrap())
        .args([&template.id, "Rome"])
        .envs(platform.environment())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver)
        .env("OTEL_SERVICE_NAME", "client")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = with_timeout("the end of the client", output).await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    platform.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "exports to the receiver in PPIO_TEST_OTLP_RECEIVER; run by tests/telemetry/phoenix.sh"]
async fn a_trace_for_another_receiver() {
    let receiver = std::env::var("PPIO_TEST_OTLP_RECEIVER").unwrap();
    let (url, _) = weather().await;
    call_in_a_trace(&receiver, url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_contains_the_client_the_agent_and_the_called_service() {
    let receiver = Receiver::start().await;
    let (url, seen) = weather().await;
    call_in_a_trace(&receiver.url(), url).await;

    let (mut asked, mut created, mut sent) = (None, None, None);
    let spans = receiver.spans(7).await;
    let (of_client, of_agent): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.service == "client");
    for span in of_client {
        match &*span.name {
            "ask" => asked = Some(span),
            "create_session" => created = Some(span),
            "invoke_agent" => sent = Some(span),
            _ => panic!("{span:?}"),
        }
    }
    let (asked, created, sent) = (asked.unwrap(), created.unwrap(), sent.unwrap());
    assert_eq!(created.parent, asked.id);
    assert_eq!(sent.parent, asked.id);
    assert_eq!(sent.get("gen_ai.operation.name"), "invoke_agent");
    assert_eq!(sent.get("session.id"), created.get("session.id"));
    assert_eq!(sent.kind, 3);

    let named = |name: &str| of_agent.iter().find(|span| span.name == name).unwrap();
    let invocation = named("invoke_agent traced");
    assert_eq!(invocation.parent, sent.id);
    // The span of a stream ends when the stream ends.
    assert!(sent.start <= invocation.start && invocation.end <= sent.end);
    assert_eq!(named("execute_tool weather").parent, invocation.id);
    assert_eq!(invocation.get("gen_ai.usage.input_tokens"), 270);
    assert!(spans.iter().all(|span| span.trace == asked.trace));

    let seen = seen.lock().unwrap().take().expect("the service was called");
    let parent = format!("00-{}-{}-01", asked.trace, invocation.id);
    assert_eq!(seen["traceparent"], *parent);
}
