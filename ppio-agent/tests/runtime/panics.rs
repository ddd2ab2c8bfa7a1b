//! A panic in user code is an error, and does not affect other requests.

use std::convert::Infallible;

use crate::support::{TestServer, config, get, invocation};
use futures_util::stream;
use ppio::{AgentRuntimeApp, Json, PingStatus, Request, Response, Sse, SseIter, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Returns an iterator that has the items 1 and 2 and then panics.
fn items() -> impl Iterator<Item = Result<u32, Infallible>> + Send {
    (1..).map(|number| {
        assert!(number < 3, "boom in the items");
        Ok(number)
    })
}

struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("boom in Serialize")
    }
}

struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("boom in Deserialize")
    }
}

/// The error text for the caller, up to the request id.
const TEXT: &str = "the agent panicked; its log has the reason at request id ";

/// Checks that a panic is a 500 without the panic's own text, that the connection stays open, and
/// that no invocation is left running.
async fn assert_500(name: &str, app: Result<AgentRuntimeApp, ppio::StartError>) {
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        connection.write(invocation("1")).await;
        let answer = connection.answer().await;
        let id = answer.header("x-request-id").expect("an id");
        let error = answer.error(500, "Panic");
        assert_eq!(error, format!("{TEXT}{id}"), "{name}");
        assert!(!answer.text().contains("boom"), "{}", answer.text());
    }
    connection.write(get("/ping")).await;
    assert_eq!(connection.answer().await.json()["status"], "Healthy");
    assert_eq!(server.metric("invocations_running").await, 0, "{name}");
}

#[tokio::test]
async fn a_panic_of_a_function_is_a_500() {
    let asynchronous = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(async |_: Value| -> Value { panic!("boom in async") })
        .build();
    assert_500("async", asynchronous).await;
    let later = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: Value| async move {
            tokio::task::yield_now().await;
            assert!(request.is_string(), "boom after an await");
        })
        .build();
    assert_500("async, later", later).await;
    let synchronous = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| -> Value { panic!("boom in sync") })
        .build();
    assert_500("sync", synchronous).await;
    let payload = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| -> Value { std::panic::panic_any(7) })
        .build();
    assert_500("a panic without text", payload).await;
}

#[tokio::test]
async fn a_panic_of_serde_code_is_a_500() {
    let writing = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| async { Json(Unwritable) })
        .build();
    assert_500("Serialize", writing).await;
    let blocking = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| Json(Unwritable))
        .build();
    assert_500("Serialize of a sync function", blocking).await;
    let reading = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Unreadable| async {})
        .build();
    assert_500("Deserialize", reading).await;
}

#[tokio::test]
async fn a_panic_of_middleware_is_a_500() {
    let before = AgentRuntimeApp::builder()
        .config(config())
        .middleware(async |_: Request, _| -> Response { panic!("boom before") })
        .entrypoint(|request: Value| async { request })
        .build();
    assert_500("before", before).await;
    let after = AgentRuntimeApp::builder()
        .config(config())
        .middleware(|request, next| async {
            let response = next.run(request).await;
            assert!(response.status() != 200, "boom after");
            response
        })
        .entrypoint(|request: Value| async { request })
        .build();
    assert_500("after", after).await;
}

#[tokio::test]
async fn a_panic_is_counted_as_a_server_error() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Unreadable| async {})
        .build();
    let server = TestServer::start(app).await;
    server.invoke("1").await.error(500, "Panic");
    for (end, count) in [("server_error", 1), ("cancelled", 0)] {
        let name = format!("invocations_total{{outcome=\"{end}\"}}");
        assert_eq!(server.metric(&name).await, count, "{end}");
    }
}

/// Checks that the stream begins and that its last item is the error of the panic.
async fn assert_ends_with_error(app: Result<AgentRuntimeApp, ppio::StartError>) {
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    for _ in 0..2 {
        connection.write(invocation("null")).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 200);
        let id = answer.header("x-request-id").expect("an id");
        let mut events = answer.events();
        let last = events.pop().expect("an error item");
        assert_eq!(last["error"], format!("{TEXT}{id}"));
        assert!(!answer.text().contains("boom"), "{}", answer.text());
        assert_eq!(last["error_type"], "Panic");
        let before: Vec<Value> = (1..=events.len()).map(Value::from).collect();
        assert_eq!(events, before);
    }
    connection.write(get("/ping")).await;
    assert_eq!(connection.answer().await.status, 200);
}

#[tokio::test]
async fn a_panic_within_a_stream_is_its_last_item() {
    let streaming = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| async { Sse(stream::iter(items())) })
        .build();
    assert_ends_with_error(streaming).await;
    let iterating = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| SseIter(items()))
        .build();
    assert_ends_with_error(iterating).await;
    let mixed = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| async { SseIter(items()) })
        .build();
    assert_ends_with_error(mixed).await;
    let unwritable = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|_: Value| SseIter(std::iter::once(Ok::<_, Infallible>(Unwritable))))
        .build();
    assert_ends_with_error(unwritable).await;
}

#[tokio::test]
async fn a_panic_of_the_health_check_is_a_500_and_busy() {
    let asynchronous = AgentRuntimeApp::builder()
        .config(config())
        .ping(async || -> PingStatus { panic!("boom in ping") })
        .entrypoint(|request: Value| async { request })
        .build();
    let blocking = AgentRuntimeApp::builder()
        .config(config())
        .blocking_ping(|| -> PingStatus { panic!("boom in ping") })
        .entrypoint(|request: Value| async { request })
        .build();
    for app in [asynchronous, blocking] {
        let server = TestServer::start(app).await;
        // More calls than there are threads for checks, so that a lost thread would be noticed.
        for _ in 0..20 {
            let ping = server.send(get("/ping")).await;
            assert_eq!(ping.status, 500);
            assert_eq!(ping.json()["status"], "HealthyBusy");
            let message = "the health check panicked; the log has the reason";
            assert_eq!(ping.json()["message"], message);
        }
        assert_eq!(server.invoke("1").await.result(), 1);
    }
}

#[tokio::test]
async fn a_panic_in_a_destructor_closes_only_its_connection() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom in Drop");
        }
    }
    let (started, mut starts) = tokio::sync::mpsc::unbounded_channel();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let started = started.clone();
            async move {
                let _bomb = Bomb;
                started.send(()).ok();
                std::future::pending::<()>().await;
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    crate::support::with_timeout("the start", starts.recv()).await;
    drop(connection);
    server.idle().await;
    server.assert_alive().await;
}
