//! How runs affect the health check and the shutdown.

use std::time::Duration;

use futures_util::stream;
use ppio::{AgentRuntimeApp, Error, OnDisconnect, Response, RuntimeConfig, Sse, Value};
use tokio::sync::oneshot;

use super::support::{Event, Scripted, parse, streaming};
use crate::support::{TestServer, config, get, invocation_with, with_timeout};

async fn ping(server: &TestServer) -> Value {
    server.send(get("/ping")).await.json()
}

async fn wait_for_ping(server: &TestServer, status: &str) -> Value {
    with_timeout(status, async {
        loop {
            let ping = ping(server).await;
            if ping["status"] == status {
                return ping;
            }
        }
    })
    .await
}

/// See aws-samples/sample-multi-agent-orchestration-chat-on-agentcore #42: the session was
/// reclaimed in the middle of a long silent turn.
#[tokio::test]
async fn agentcore_42_a_long_invocation_makes_the_agent_busy() {
    async fn silent_value() -> Result<Response, Error> {
        std::future::pending().await
    }
    let silent_body = || {
        let frames = stream::pending::<Result<http_body::Frame<bytes::Bytes>, Error>>();
        Response::new(ppio::Body::new(http_body_util::StreamBody::new(frames)))
    };
    let key = "idempotency-key: k\r\n";
    for heartbeat in [Duration::ZERO, Duration::from_secs(15)] {
        let config = || {
            let config = config().busy_after(Duration::from_millis(20));
            config
                .heartbeat(heartbeat)
                .timeout(Duration::from_secs(600))
        };
        let value = AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(|_: Value| silent_value());
        let items = AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(|_: Value| async { Sse(stream::pending::<Result<u8, Error>>()) });
        let body = AgentRuntimeApp::builder()
            .config(config())
            .entrypoint(move |_: Value| async move { silent_body() });
        for app in [value.build(), items.build(), body.build()] {
            let server = TestServer::start(app).await;
            for headers in ["", key] {
                let before = ping(&server).await;
                assert_eq!(before["status"], "Healthy", "{headers}");
                let mut caller = server.connect().await;
                let headers = format!("{headers}ppio-on-disconnect: cancel\r\n");
                caller.write(invocation_with(&headers, "1")).await;
                let busy = wait_for_ping(&server, "HealthyBusy").await;
                let changed = &busy["time_of_last_update"];
                // The time changes only with the status.
                assert_eq!(&ping(&server).await["time_of_last_update"], changed);
                drop(caller);
                wait_for_ping(&server, "Healthy").await;
            }
        }
    }
}

#[tokio::test]
async fn a_short_invocation_does_not_make_the_agent_busy() {
    let agent = Scripted::start(config()).await;
    let mut caller = agent.server.connect().await;
    caller.write(streaming("idempotency-key: k\r\n")).await;
    let started = agent.started().await;
    assert_eq!(ping(&agent.server).await["status"], "Healthy");
    // An invocation that continues without its caller makes the agent busy from its start.
    let id = agent.detach("1").await;
    assert_eq!(ping(&agent.server).await["status"], "HealthyBusy");
    agent.started().await.item(1);
    agent.has_status(&id, "success").await;
    assert_eq!(ping(&agent.server).await["status"], "Healthy");
    // An invocation that a joining caller changes to `continue` makes the agent busy until it is
    // cancelled.
    let join = streaming("idempotency-key: k\r\nprefer: respond-async\r\n");
    let joined = agent.server.send(join).await;
    assert_eq!(joined.status, 202);
    assert_eq!(ping(&agent.server).await["status"], "HealthyBusy");
    let path = format!("/invocations/{}", joined.header("x-request-id").unwrap());
    let stop = super::support::request("DELETE", &path, "");
    agent.server.send(stop).await;
    assert_eq!(ping(&agent.server).await["status"], "Healthy");
    started.wait_dropped().await;
}

#[tokio::test]
async fn a_shutdown_waits_for_a_run_without_a_caller() {
    let (finish, finished) = oneshot::channel::<()>();
    let (ended, mut has_ended) = oneshot::channel();
    let once = std::sync::Mutex::new(Some((finished, ended)));
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(move |_: Value| {
            let parts = once.lock().unwrap().take();
            async move {
                let (finished, ended) = parts.expect("one call");
                finished.await.ok();
                ended.send(()).ok();
                "done"
            }
        })
        .build();
    let mut server = TestServer::start(app).await;
    let detach = invocation_with("prefer: respond-async\r\n", "1");
    assert_eq!(server.send(detach).await.status, 202);
    server.begin_shutdown();
    assert!(has_ended.try_recv().is_err());
    finish.send(()).unwrap();
    server.ended().await;
    assert!(has_ended.try_recv().is_ok());
}

#[tokio::test]
async fn a_run_is_cancelled_for_its_readers_after_the_shutdown_grace() {
    let grace = Duration::from_millis(100);
    let config: RuntimeConfig = config()
        .shutdown_grace(grace)
        .on_disconnect(OnDisconnect::Continue);
    let mut agent = Scripted::start(config).await;
    let mut with_ids = agent.server.connect().await;
    with_ids.write(streaming("ppio-stream-ids: true\r\n")).await;
    let started = agent.started().await;
    started.item(1);
    with_ids.head().await;
    assert!(with_ids.chunk().await.is_some());
    let mut waiting = agent.server.connect().await;
    waiting.write(invocation_with("", "1")).await;
    let second = agent.started().await;
    agent.server.begin_shutdown();
    let last = with_ids.chunk().await.expect("the end");
    let last = parse(std::str::from_utf8(&last).unwrap());
    assert!(
        matches!(&last[..], [Event::End(end)] if end["status"] == "cancelled"),
        "{last:?}"
    );
    waiting.answer().await.error(409, "Cancelled");
    started.wait_dropped().await;
    second.wait_dropped().await;
    agent.server.ended().await;
}
