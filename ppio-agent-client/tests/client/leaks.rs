//! No sandbox is leaked, whatever fails and whenever the caller drops its future.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use ppio_agent_client::{ClientConfig, Error};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform, agent_document};
use serde_json::json;

use crate::clients::{client_of, client_with};

/// Polls `future` at most `polls` times, each time it is woken. Returns `None` if the future is not
/// ready after these polls.
async fn poll_times<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut done = 0;
    poll_fn(|cx| {
        if done == polls {
            return Poll::Ready(None);
        }
        done += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Counts the wakes.
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn create_session_dropped_after_any_number_of_polls_leaves_nothing() {
    for polls in 1.. {
        let platform = ScriptedPlatform::start().await;
        let client = client_of(&platform);
        platform.script("agent GET /ping", Reply::error(502, "not yet"));
        let created = poll_times(client.create_session("tmpl_1").into_future(), polls).await;
        client.close().await.unwrap();
        platform.eventually_empty().await;
        if let Some(session) = created {
            session.unwrap();
            assert!(polls > 1, "the future was never dropped");
            return;
        }
    }
}

/// The future of `create_session` runs the steps in a task of its own. On one thread, that task,
/// the connections and the platform take turns; the caller drops the future after any number of
/// turns, so at every point at which a task waits.
#[tokio::test]
async fn create_session_dropped_after_any_number_of_turns_leaves_nothing() {
    for template in ["tmpl_1", "tmpl_py"] {
        for turns in 0.. {
            let platform = ScriptedPlatform::start().await;
            let client = client_of(&platform);
            let mut document = agent_document("python");
            document["spec"]["entrypoint"] = json!("agent.py");
            platform.add_template("tmpl_py", &document);
            platform.always("envd POST /process.Process/Start", started().hang());
            if template == "tmpl_py" {
                platform.script("agent GET /ping", Reply::error(502, "not yet"));
            }
            platform.drip(8);
            let mut creating = client.create_session(template).into_future();
            let mut outcome = None;
            for _ in 0..=turns {
                outcome = (&mut creating).now_or_never();
                if outcome.is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(creating);
            let finished = outcome.is_some();
            drop(outcome.transpose().unwrap());
            client.close().await.unwrap();
            platform.eventually_empty().await;
            let made = platform.count("POST /sandboxes");
            assert!(made <= 1, "{made} sandboxes after {turns} turns");
            if finished {
                assert!(turns > 40, "the creation took only {turns} turns");
                eprintln!("{template}: dropped at {turns} points");
                break;
            }
        }
    }
}

/// The caller drops the future while the platform answers each request, before the response or in
/// the middle of the response.
#[tokio::test]
async fn create_session_dropped_at_every_step_of_the_platform_leaves_nothing() {
    let steps = [
        "POST /sandboxes",
        "GET /templates",
        "agent GET /ping",
        "envd POST /process.Process/Start",
    ];
    for step in steps {
        for reply in [Reply::nothing(), Reply::raw("HTTP/1.1 20")] {
            let platform = ScriptedPlatform::start().await;
            let client = client_of(&platform);
            let mut document = agent_document("python");
            document["spec"]["entrypoint"] = json!("agent.py");
            platform.add_template("tmpl_py", &document);
            // The platform executes the request, then its response stalls: forever, if dropping the
            // future ends the request, otherwise until after the future was dropped.
            let is_create = step == "POST /sandboxes" || step == "GET /templates";
            let reply = reply.with_effect();
            let reply = if is_create {
                reply.pause(Duration::from_millis(100)).reset()
            } else {
                reply.hang()
            };
            if step != "envd POST /process.Process/Start" {
                platform.always("envd POST /process.Process/Start", started().hang());
            }
            if step == "GET /templates" {
                // With a healthy agent, the session would not wait for the template.
                platform.always("agent GET /ping", Reply::error(502, "not yet"));
            }
            platform.script(step, reply);
            let creating = tokio::spawn(client.create_session("tmpl_py").into_future());
            platform
                .eventually("the step is reached", |platform| platform.count(step) > 0)
                .await;
            creating.abort();
            // If the task has finished, its handle holds the session.
            drop(creating);
            platform.eventually_empty().await;
            client.close().await.unwrap();
            assert_eq!(platform.count("POST /sandboxes"), 1, "{step}");
        }
    }
}

/// A create request is read to its end even if the caller drops the future before the response.
#[tokio::test]
async fn a_create_request_in_flight_is_not_abandoned() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let late = Reply::json(
        201,
        &json!({"sandboxID": "sb1", "templateID": "tmpl_1", "domain": platform.domain()}),
    );
    platform.script(
        "POST /sandboxes",
        late.with_effect().after(Duration::from_millis(100)),
    );
    {
        let creating = pin!(client.create_session("tmpl_1").into_future());
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        assert!(creating.poll(&mut Context::from_waker(&waker)).is_pending());
        platform
            .eventually("the creation", |platform| !platform.live().is_empty())
            .await;
    }
    platform.eventually_empty().await;
    assert_eq!(platform.count("DELETE /sandboxes/{id}"), 1);
}

#[tokio::test]
async fn a_sandbox_created_over_a_broken_connection_is_killed() {
    let replies = [
        Reply::nothing().reset(),
        Reply::raw("HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{\"sandbox").reset(),
        Reply::error(500, "made it, then fell over"),
        Reply::error(504, "gateway timeout"),
        Reply::body(201, "application/json", "<html>"),
    ];
    for reply in replies {
        let platform = ScriptedPlatform::start().await;
        let client = client_of(&platform);
        platform.script("POST /sandboxes", reply.with_effect());
        let error = client.create_session("tmpl_1").await.unwrap_err();
        assert!(matches!(error, Error::SandboxCreation { .. }), "{error}");
        client.close().await.unwrap();
        assert!(platform.live().is_empty());
        assert_eq!(platform.count("POST /sandboxes"), 1, "not sent twice");
    }
}

/// The platform has created no sandbox. A client that is being closed looks for a sandbox only once
/// more.
#[tokio::test]
async fn close_looks_up_a_failed_creation_at_most_twice() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    platform.script("POST /sandboxes", Reply::nothing().reset());
    client.create_session("tmpl_1").await.unwrap_err();
    platform
        .eventually("the first lookup", |platform| {
            platform.count("GET /v2/sandboxes") == 1
        })
        .await;
    client.close().await.unwrap();
    assert_eq!(platform.count("GET /v2/sandboxes"), 2);

    // A sandbox that appears late is found by the last lookup.
    platform.script("POST /sandboxes", Reply::nothing().with_effect().reset());
    platform.script("GET /v2/sandboxes", Reply::json(200, &json!([])));
    client.create_session("tmpl_1").await.unwrap_err();
    client.close().await.unwrap();
    assert!(platform.live().is_empty());
    assert_eq!(platform.count("GET /v2/sandboxes"), 4);
}

#[tokio::test]
async fn sandboxes_of_others_survive_the_orphan_cleanup() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let other = client.create_session("tmpl_1").await.unwrap();
    platform.script("POST /sandboxes", Reply::nothing().with_effect().reset());
    // This platform's list ignores the filter.
    let id = other.sandbox_id();
    let all = json!([{"sandboxID": id, "metadata": {}}, {"sandboxID": "sb2", "metadata": {}}]);
    platform.script("GET /v2/sandboxes", Reply::json(200, &all));
    client.create_session("tmpl_1").await.unwrap_err();
    platform
        .eventually("the second lookup", |platform| platform.live().len() == 1)
        .await;
    assert_eq!(platform.live()[0].id, id);
}

#[tokio::test]
async fn the_sandbox_of_an_unhealthy_agent_is_killed() {
    for reply in [
        Reply::error(502, "connection refused"),
        Reply::json(500, &json!({"status": "HealthyBusy"})),
        Reply::body(200, "text/html", "<html>a login page</html>"),
        Reply::nothing().hang(),
        Reply::nothing().reset(),
    ] {
        let platform = ScriptedPlatform::start().await;
        let client = client_of(&platform);
        platform.always("agent GET /ping", reply);
        let create = client.create_session("tmpl_1");
        let error = create
            .start_timeout(Duration::from_millis(200))
            .await
            .unwrap_err();
        let Error::SandboxCreation { sandbox_id, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(sandbox_id.as_deref(), Some("sb1"));
        assert!(
            error.report().to_string().contains("healthy within 200ms"),
            "{error}"
        );
        assert!(
            platform.live().is_empty(),
            "ended before the error was returned"
        );
    }
}

#[tokio::test]
async fn the_templates_own_start_timeout_is_used() {
    let platform = ScriptedPlatform::start().await;
    let mut document = agent_document("slow");
    document["spec"]["runtime"]["timeout"] = json!(1);
    platform.add_template("tmpl_slow", &document);
    platform.always("agent GET /ping", Reply::error(502, "connection refused"));
    let started = std::time::Instant::now();
    let error = client_of(&platform)
        .create_session("tmpl_slow")
        .await
        .unwrap_err();
    assert!(
        error.report().to_string().contains("healthy within 1s"),
        "{error}"
    );
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Each pause is 1.5 times as long as the previous one, so about a dozen pings are sent.
    let pings = platform.count("agent GET /ping");
    assert!((5..30).contains(&pings), "{pings}");
}

#[tokio::test]
async fn a_python_agent_is_started_through_envd_and_its_failure_is_reported() {
    let platform = ScriptedPlatform::start().await;
    let mut document = agent_document("python");
    document["spec"]["entrypoint"] = json!("src/agent.py");
    platform.add_template("tmpl_py", &document);

    platform.script("envd POST /process.Process/Start", started().hang());
    let client = client_of(&platform);
    let session = client.create_session("tmpl_py").await.unwrap();
    let start = &platform.requests("envd POST /process.Process/Start")[0];
    assert_eq!(start.header("x-access-token"), "envd-token-sb1");
    assert_eq!(start.header("content-type"), "application/connect+json");
    let command = String::from_utf8_lossy(&start.body).into_owned();
    assert!(
        command.contains("cd /app && exec sudo -E python 'src/agent.py'"),
        "{command}"
    );
    session.close().await.unwrap();

    let said = json!({"event": {"data": {"stderr": "TW9kdWxlTm90Rm91bmRFcnJvcg=="}}});
    let ended = json!({"event": {"end": {"exitCode": 1, "exited": true}}});
    let failing = started()
        .chunk(envelope(&said))
        .chunk(envelope(&ended))
        .end();
    platform.script("envd POST /process.Process/Start", failing);
    platform.always("agent GET /ping", Reply::error(502, "connection refused"));
    let error = client.create_session("tmpl_py").await.unwrap_err();
    let text = error.report().to_string();
    assert!(text.contains("exit code 1: ModuleNotFoundError"), "{text}");
    assert!(platform.live().is_empty());
}

#[tokio::test]
async fn a_failed_close_is_an_error_and_can_be_repeated() {
    let platform = ScriptedPlatform::start().await;
    let client = client_with(
        &platform,
        ClientConfig {
            max_retries: 0,
            ..ClientConfig::default()
        },
    );
    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script("DELETE /sandboxes/{id}", Reply::error(500, "not today"));
    let error = session.close().await.unwrap_err();
    assert_eq!(
        error.report().to_string(),
        "cannot close sandbox \"sb1\": kill sandbox: not today (HTTP 500)"
    );
    session.close().await.unwrap();
    assert!(platform.live().is_empty());
}

#[tokio::test]
async fn closing_does_not_wait_behind_calls_that_take_all_connections() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        max_connections: 1,
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script(
        "agent POST /invocations",
        Reply::events().chunk("data: 1\n\n").hang(),
    );
    let mut stream = session.invoke("hi").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    session.close().await.unwrap();
    assert!(platform.live().is_empty());
}

#[tokio::test]
async fn a_session_that_was_created_for_a_call_is_closed() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let answer = client.invoke_agent("tmpl_1", "hi").await.unwrap();
    assert_eq!(answer.result, Some(json!({"prompt": "hi"})));
    assert!(platform.live().is_empty());

    platform.script("agent POST /invocations", Reply::error(500, "no"));
    client.invoke_agent("tmpl_1", "hi").await.unwrap_err();
    assert!(platform.live().is_empty());

    // A stream keeps its session open until the stream is read to its end, or dropped.
    let events = || Reply::events().chunk("data: 1\n\n");
    platform.script("agent POST /invocations", events().end());
    let mut stream = client.invoke_agent_stream("tmpl_1", "hi").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), json!(1));
    assert_eq!(platform.live().len(), 1);
    assert!(stream.next().await.is_none());
    drop(stream);
    platform.eventually_empty().await;
    platform.script("agent POST /invocations", events().hang());
    drop(client.invoke_agent_stream("tmpl_1", "hi").await.unwrap());
    platform.eventually_empty().await;

    // The future is dropped while the agent works.
    platform.script("agent POST /invocations", Reply::nothing().hang());
    let invoking = tokio::spawn(client.invoke_agent("tmpl_1", "hi").into_future());
    let asked = platform.count("agent POST /invocations");
    platform
        .eventually("the agent is invoked", |platform| {
            platform.count("agent POST /invocations") > asked
        })
        .await;
    let open = platform.open_connections();
    invoking.abort();
    platform
        .eventually("the connection is closed", |platform| {
            platform.open_connections() < open
        })
        .await;
    platform.eventually_empty().await;

    // A request that cannot be sent creates no sandbox in the first place.
    let made = platform.count("POST /sandboxes");
    let request = std::collections::HashMap::from([((1, 2), 3)]);
    let error = client.invoke_agent("tmpl_1", request).await.unwrap_err();
    assert!(matches!(error, Error::Validation { .. }));
    assert_eq!(platform.count("POST /sandboxes"), made);
}

fn envelope(message: &serde_json::Value) -> Vec<u8> {
    let message = message.to_string();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    bytes.extend(message.as_bytes());
    bytes
}

fn started() -> Reply {
    let event = json!({"event": {"start": {"pid": 7}}});
    Reply::chunked("application/connect+json").chunk(envelope(&event))
}
