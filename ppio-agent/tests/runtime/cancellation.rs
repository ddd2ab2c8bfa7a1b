//! When a client disconnects, its handler is cancelled and dropped.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::support::{TIMEOUT, TestServer, config, invocation, with_timeout};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use ppio::testing::TestAgent;
use ppio::{AgentRuntimeApp, BodyEnd, Error, RequestContext, Sse, SseIter, StartError, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// How soon a handler has to be dropped after its client disconnects.
const SOON: Duration = Duration::from_millis(100);
/// The number of attempts. The median of the delays is compared, since a busy machine may slow down
/// an attempt.
const ROUNDS: usize = 9;

/// Sends the time at which it is dropped.
struct Guard(UnboundedSender<Instant>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send(Instant::now()).ok();
    }
}

fn guards() -> (UnboundedSender<Instant>, UnboundedReceiver<Instant>) {
    unbounded_channel()
}

/// Checks that handlers are dropped soon after their clients disconnect. With `streams`, each
/// client waits for the first item.
async fn assert_stops_soon(
    app: Result<AgentRuntimeApp, StartError>,
    streams: bool,
    mut started: UnboundedReceiver<()>,
    mut dropped: UnboundedReceiver<Instant>,
) {
    let server = TestServer::start(app).await;
    let mut delays = Vec::new();
    for _ in 0..ROUNDS {
        let mut connection = server.connect().await;
        connection.write(invocation("1")).await;
        with_timeout("the start", started.recv())
            .await
            .expect("a start");
        if streams {
            assert_eq!(connection.head().await.status, 200);
            assert!(connection.chunk().await.is_some());
        }
        let left = Instant::now();
        drop(connection);
        let gone = with_timeout("the drop", dropped.recv())
            .await
            .expect("a guard");
        delays.push(gone.saturating_duration_since(left));
    }
    delays.sort();
    assert!(delays[ROUNDS / 2] < SOON, "{delays:?}");
    server.idle().await;
    let cancelled = "invocations_total{outcome=\"cancelled\"}";
    assert_eq!(server.metric(cancelled).await, ROUNDS as u64);
    server.assert_alive().await;
}

#[tokio::test]
async fn a_client_that_disconnects_drops_the_handler() {
    let (start, started) = unbounded_channel();
    let (guard, dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let (start, guard) = (start.clone(), Guard(guard.clone()));
            async move {
                let _guard = guard;
                start.send(()).ok();
                std::future::pending::<()>().await;
            }
        })
        .build();
    assert_stops_soon(app, false, started, dropped).await;
}

/// Returns a stream that holds a guard, sends `true` once, and then sends nothing.
fn silent(guard: Guard) -> impl Stream<Item = Result<bool, Infallible>> + Send {
    let first = stream::once(async { Ok(true) });
    first.chain(stream::pending()).inspect(move |_| {
        let _held = &guard;
    })
}

#[tokio::test]
async fn a_client_that_disconnects_drops_a_silent_stream() {
    let (start, started) = unbounded_channel();
    let (guard, dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            start.send(()).ok();
            async { Sse(silent(guard)) }
        })
        .build();
    assert_stops_soon(app, true, started, dropped).await;
}

#[tokio::test]
async fn a_client_that_disconnects_drops_a_busy_stream() {
    let (start, started) = unbounded_channel();
    let (guard, dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            start.send(()).ok();
            async {
                Sse(stream::repeat_with(move || {
                    let _held = &guard;
                    Ok::<_, Infallible>("item")
                }))
            }
        })
        .build();
    assert_stops_soon(app, true, started, dropped).await;
}

#[tokio::test]
async fn a_client_that_disconnects_drops_an_iterator_after_its_step() {
    let (start, started) = unbounded_channel();
    let (guard, dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            start.send(()).ok();
            SseIter(std::iter::repeat_with(move || {
                let _held = &guard;
                // A blocking iterator.
                std::thread::sleep(Duration::from_millis(5));
                Ok::<_, Infallible>("item")
            }))
        })
        .build();
    assert_stops_soon(app, true, started, dropped).await;
}

#[tokio::test]
async fn synchronous_code_can_check_whether_it_is_cancelled() {
    let (start, started) = unbounded_channel();
    let (guard, dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value, context: RequestContext| {
            let _guard = Guard(guard.clone());
            start.send(()).ok();
            let asked = Instant::now();
            while !context.is_cancelled() && asked.elapsed() < TIMEOUT {
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .build();
    assert_stops_soon(app, false, started, dropped).await;
}

#[tokio::test]
async fn a_connection_reset_cancels_the_handler() {
    let (start, mut started) = unbounded_channel();
    let (guard, mut dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            start.send(()).ok();
            async { Sse(silent(guard)) }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    with_timeout("the start", started.recv())
        .await
        .expect("a start");
    // Closing a socket with unread data sends a reset.
    connection.stream.readable().await.expect("an answer");
    drop(connection);
    with_timeout("the drop", dropped.recv())
        .await
        .expect("a guard");
    server.assert_alive().await;
}

#[tokio::test]
async fn a_client_that_disconnects_within_its_body_starts_no_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |request: Value| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { request }
        })
        .build();
    let server = TestServer::start(app).await;
    let request = invocation("\"a long enough text\"");
    for length in [1, 20, request.len() - 15, request.len() - 1] {
        let mut connection = server.connect().await;
        connection.write(&request[..length]).await;
        drop(connection);
    }
    server.idle().await;
    assert_eq!(server.invoke("1").await.result(), 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_cancelled_while_it_waits_for_a_thread_never_runs() {
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let gate = Arc::new(released);
    let app = AgentRuntimeApp::builder()
        .config(config().blocking_threads(1))
        .entrypoint(move |request: Value| {
            counted.fetch_add(1, Ordering::Relaxed);
            if request == "hold" {
                let gate = gate.lock().expect("one holder");
                gate.recv_timeout(TIMEOUT).expect("a release");
            }
            request
        })
        .build();
    let server = TestServer::start(app).await;
    let mut holder = server.connect().await;
    holder.write(invocation("\"hold\"")).await;
    crate::support::eventually("the holder", || calls.load(Ordering::Relaxed) == 1).await;
    let mut waiter = server.connect().await;
    waiter.write(invocation("\"wait\"")).await;
    with_timeout("two running", async {
        while server.metric("invocations_running").await < 2 {}
    })
    .await;
    drop(waiter);
    with_timeout("one running", async {
        while server.metric("invocations_running").await > 1 {}
    })
    .await;
    release.send(()).expect("the holder waits");
    assert_eq!(holder.answer().await.result(), "hold");
    assert_eq!(server.invoke("\"next\"").await.result(), "next");
    assert_eq!(
        calls.load(Ordering::Relaxed),
        2,
        "the invocation of the closed connection never ran"
    );
}

#[tokio::test]
async fn middleware_receives_the_end_of_a_stream() {
    let (end, mut ends) = unbounded_channel();
    let (guard, _dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(move |request, next| {
            let end = end.clone();
            async move {
                let response = next.run(request).await;
                response.map(|body| {
                    body.on_end(move |how| {
                        end.send(how).ok();
                    })
                })
            }
        })
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            async { Sse(silent(guard)) }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    connection.head().await;
    assert!(connection.chunk().await.is_some());
    drop(connection);
    let end = with_timeout("the end", ends.recv()).await;
    assert_eq!(end, Some(BodyEnd::Dropped));
}

#[tokio::test]
async fn a_cancelled_invocation_no_longer_counts_against_the_limit() {
    let (start, mut started) = unbounded_channel();
    let (guard, mut dropped) = guards();
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(1))
        .entrypoint(move |_: Value| {
            let guard = Guard(guard.clone());
            start.send(()).ok();
            async { Sse(silent(guard)) }
        })
        .build();
    let server = TestServer::start(app).await;
    for _ in 0..3 {
        let mut connection = server.connect().await;
        connection.write(invocation("1")).await;
        with_timeout("the start", started.recv())
            .await
            .expect("a start");
        server.invoke("1").await.error(503, "Overloaded");
        drop(connection);
        with_timeout("the drop", dropped.recv())
            .await
            .expect("a guard");
        server.idle().await;
    }
}

/// A layer that invokes the agent when the end of an invocation is logged.
struct InvokedAtTheEnd {
    agent: TestAgent,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl<S: Subscriber> Layer<S> for InvokedAtTheEnd {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if matches!(event.metadata().target(), "ppio" | "ppio::invocation") {
            let reply = self.agent.invoke("value").now_or_never();
            let reply = reply.expect("a reply at the first poll");
            let mut statuses = self.statuses.lock().expect("a lock");
            statuses.push(reply.status().as_u16());
        }
    }
}

#[tokio::test]
async fn an_invocation_whose_end_is_logged_no_longer_counts_against_the_limit() {
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(1))
        .entrypoint(async |what: String| match what.as_str() {
            "value" => Ok(what),
            "fails" => Err(Error::internal("no")),
            _ => std::future::pending().await,
        })
        .build();
    let agent = TestAgent::new(app.unwrap());
    assert_eq!(agent.invoke("value").await.status(), 200);
    let statuses = Arc::default();
    let subscriber = tracing_subscriber::registry().with(InvokedAtTheEnd {
        agent: agent.clone(),
        statuses: Arc::clone(&statuses),
    });
    tracing::subscriber::with_default(subscriber, || {
        for what in ["value", "fails"] {
            let reply = agent.invoke(what).now_or_never();
            reply.expect("a reply at the first poll");
        }
        let mut left = Box::pin(agent.invoke("waits"));
        assert!(left.as_mut().now_or_never().is_none());
        drop(left);
    });
    // One status at the end of the value, one at the end of the error, and one for the caller
    // that disconnected.
    assert_eq!(*statuses.lock().unwrap(), [200, 200, 200]);
}
