//! A shutdown waits for running requests and tasks, and then ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{TIMEOUT, TestServer, config, get, invocation, with_timeout};
use futures_util::{StreamExt as _, stream};
use ppio::{AgentRuntimeApp, RuntimeConfig, Sse, StartError, Value};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// A short grace period.
const GRACE: Duration = Duration::from_millis(300);

/// An agent whose responses wait for permits of `gate`.
fn gated(config: RuntimeConfig, gate: &Arc<Semaphore>) -> Result<AgentRuntimeApp, StartError> {
    let gate = Arc::clone(gate);
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(move |request: Value| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.expect("an open gate").forget();
                request
            }
        })
        .build()
}

async fn running(server: &TestServer, count: u64) {
    with_timeout("running invocations", async {
        while server.metric("invocations_running").await < count {}
    })
    .await;
}

/// Waits until the address refuses connections.
async fn closed(server: &TestServer) {
    with_timeout("the end of listening", async {
        while TcpStream::connect(server.address).await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn running_requests_finish_and_new_ones_are_refused() {
    let gate = Arc::new(Semaphore::new(0));
    let mut server = TestServer::start(gated(config(), &gate)).await;
    let mut idle = server.connect().await;
    idle.write(get("/ping")).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = server.connect().await;
    busy.write(invocation("1")).await;
    running(&server, 1).await;

    server.begin_shutdown();
    closed(&server).await;
    idle.assert_closed().await;
    gate.add_permits(1);
    let answer = busy.answer().await;
    assert_eq!(answer.result(), 1);
    // `close` makes the client send its next request on another connection, to another instance.
    assert_eq!(answer.header("connection"), Some("close"));
    busy.assert_closed().await;
    server.ended().await;
}

#[tokio::test]
async fn a_running_stream_finishes() {
    let gate = Arc::new(Semaphore::new(1));
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint({
            let gate = Arc::clone(&gate);
            move |_: Value| {
                let gate = Arc::clone(&gate);
                async {
                    Sse(stream::iter(0..3).then(move |number| {
                        let gate = Arc::clone(&gate);
                        async move {
                            gate.acquire().await.expect("an open gate").forget();
                            Ok::<_, Infallible>(number)
                        }
                    }))
                }
            }
        })
        .build();
    let mut server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    connection.head().await;
    assert_eq!(connection.events().await, Some(vec![Value::from(0)]));
    server.begin_shutdown();
    closed(&server).await;
    gate.add_permits(2);
    let mut rest = Vec::new();
    while let Some(events) = connection.events().await {
        rest.extend(events);
    }
    assert_eq!(rest, [1, 2]);
    server.ended().await;
}

#[tokio::test]
async fn requests_are_aborted_after_the_grace() {
    let gate = Arc::new(Semaphore::new(0));
    let app = gated(config().shutdown_grace(GRACE), &gate);
    let mut server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    running(&server, 1).await;
    let started = Instant::now();
    server.begin_shutdown();
    // No byte of a response is sent.
    connection.assert_closed().await;
    server.ended().await;
    assert!((GRACE..TIMEOUT).contains(&started.elapsed()));
}

#[tokio::test]
async fn connections_without_complete_headers_are_closed_immediately() {
    let gate = Arc::new(Semaphore::new(0));
    let mut server = TestServer::start(gated(config(), &gate)).await;
    let fresh = server.connect().await;
    let mut first = server.connect().await;
    first.write("POST /invoc").await;
    let mut second = server.connect().await;
    second.write(get("/ping") + "POST /invoc").await;
    assert_eq!(second.answer().await.status, 200);
    // A ping on a later connection is answered, so the server has read the other connections.
    server.assert_alive().await;
    server.begin_shutdown();
    for mut connection in [fresh, first, second] {
        connection.assert_closed().await;
    }
    // The server does not wait for the grace period of 30 s.
    server.ended().await;
}

#[tokio::test]
async fn a_request_during_the_shutdown_is_a_503_with_retry_after() {
    let gate = Arc::new(Semaphore::new(0));
    let (entered, inside) = (Arc::new(Semaphore::new(0)), Arc::clone(&gate));
    let waiting = Arc::clone(&entered);
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(move |request: ppio::Request, next: ppio::Next| {
            let (entered, gate) = (Arc::clone(&entered), Arc::clone(&inside));
            async move {
                entered.add_permits(1);
                gate.acquire().await.expect("an open gate").forget();
                next.run(request).await
            }
        })
        .entrypoint(|request: Value| async move { request })
        .build();
    let mut server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation("1")).await;
    with_timeout("the middleware", waiting.acquire())
        .await
        .expect("an open gate")
        .forget();
    server.begin_shutdown();
    closed(&server).await;
    gate.add_permits(1);
    let answer = connection.answer().await;
    let text = answer.error(503, "Draining");
    assert_eq!(text, "the agent is shutting down; try again");
    assert_eq!(answer.header("retry-after"), Some("1"));
    connection.assert_closed().await;
    server.ended().await;
}

/// An agent that answers immediately and starts a background task.
fn working(config: RuntimeConfig, gate: &Arc<Semaphore>) -> Result<AgentRuntimeApp, StartError> {
    let gate = Arc::clone(gate);
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(move |what: String| {
            let gate = Arc::clone(&gate);
            async move {
                let task = ppio::task::spawn("work", async move {
                    gate.acquire().await.expect("an open gate").forget();
                    assert!(what != "panic", "boom");
                });
                task.id().to_string()
            }
        })
        .build()
}

#[tokio::test]
async fn the_agent_is_busy_while_a_background_task_runs() {
    let gate = Arc::new(Semaphore::new(0));
    let server = TestServer::start(working(config(), &gate)).await;
    let status = async || {
        let ping = server.send(get("/ping")).await;
        assert_eq!(ping.status, 200);
        ping.json()["status"].as_str().map(str::to_owned)
    };
    assert_eq!(status().await.as_deref(), Some("Healthy"));
    for what in ["\"work\"", "\"panic\""] {
        server.invoke(what).await.result();
    }
    assert_eq!(status().await.as_deref(), Some("HealthyBusy"));
    assert_eq!(server.metric("background_tasks").await, 2);
    // One task returns and the other task panics. Neither counts as running afterwards.
    gate.add_permits(2);
    with_timeout("the end of the work", async {
        while status().await.as_deref() != Some("Healthy") {}
    })
    .await;
    assert_eq!(server.metric("background_tasks").await, 0);
}

#[tokio::test]
async fn background_tasks_finish_within_the_grace() {
    let gate = Arc::new(Semaphore::new(0));
    let mut server = TestServer::start(working(config(), &gate)).await;
    server.invoke("\"work\"").await.result();
    server.begin_shutdown();
    closed(&server).await;
    assert_eq!(gate.available_permits(), 0);
    gate.add_permits(1);
    server.ended().await;
    assert_eq!(gate.available_permits(), 0, "the work took its permit");
}

#[tokio::test]
async fn a_background_task_does_not_outlive_the_grace() {
    let gate = Arc::new(Semaphore::new(0));
    let app = working(config().shutdown_grace(GRACE), &gate);
    let mut server = TestServer::start(app).await;
    server.invoke("\"work\"").await.result();
    let started = Instant::now();
    server.begin_shutdown();
    server.ended().await;
    assert!((GRACE..TIMEOUT).contains(&started.elapsed()));
}

#[tokio::test]
async fn the_port_can_be_bound_again_immediately() {
    let gate = Arc::new(Semaphore::new(9));
    let mut server = TestServer::start(gated(config(), &gate)).await;
    let port = server.address.port();
    // The operating system keeps connections that the server closed first in TIME-WAIT.
    let mut kept = server.connect().await;
    kept.write(invocation("1")).await;
    assert_eq!(kept.answer().await.result(), 1);
    server.begin_shutdown();
    kept.assert_closed().await;
    server.ended().await;
    let again = TestServer::start(gated(config().port(port), &gate)).await;
    assert_eq!(again.invoke("2").await.result(), 2);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_with_the_address() {
    let gate = Arc::new(Semaphore::new(0));
    let server = TestServer::start(gated(config(), &gate)).await;
    let second = gated(config().port(server.address.port()), &gate).expect("an app");
    let error = second.bind().await.expect_err("a port in use").to_string();
    assert!(error.contains(&server.address.to_string()), "{error}");
    assert!(error.contains("PPIO_AGENT_PORT"), "{error}");
}
