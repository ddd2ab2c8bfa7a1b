//! Runs in sandboxes whose agent ends and restarts, with and without a journal.

use std::time::Duration;

use ppio_agent_client::platform::Command;
use ppio_agent_client::{ClientConfig, Error, InvocationStream, Run, RunStatus, SandboxSession};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually, eventually_some, with_timeout};
use serde_json::{Value, json};

use crate::cutting_proxy::{Cuts, CuttingProxy};
use crate::isolation_mode::IsolationMode;
use crate::raw_calls::call;
use crate::test_platform::TestPlatform;

/// The variable that sets the path of the journal, and a path relative to the folder of the agent.
const JOURNAL: (&str, &str) = ("PPIO_AGENT_JOURNAL", "journal");
const SESSION: &str = "x-amzn-bedrock-agentcore-runtime-session-id";

fn agent() -> TemplateSpec {
    TemplateSpec::new("tally").binary(env!("CARGO_BIN_EXE_tally-agent"))
}

/// Returns the settings of a client that waits for an agent that is starting.
fn config_with_retries() -> ClientConfig {
    ClientConfig {
        max_retries: 1000,
        retry_delay: Duration::from_millis(2),
        max_retry_delay: Duration::from_millis(20),
        ..ClientConfig::default()
    }
}

fn number(item: &Value) -> u64 {
    item[0].as_u64().expect("a number")
}

/// Returns the numbers of the items up to the end, and the error that ended the stream, if any.
async fn read(mut stream: InvocationStream) -> (Vec<u64>, Option<Error>) {
    let mut numbers = Vec::new();
    while let Some(item) = with_timeout("an item", stream.next()).await {
        match item {
            Ok(item) => numbers.push(number(&item)),
            Err(error) => return (numbers, Some(error)),
        }
    }
    (numbers, None)
}

/// Returns a run of the original session, reached through the session of a copy.
fn run_of(original: &str, copy: &SandboxSession, id: &str) -> Run {
    let run = copy.run(id).header(SESSION, original);
    run.expect("a header")
}

/// Checks a finished and an interrupted run after the agent has restarted.
async fn check_restored(finished: &Run, broken: &Run, answer: &Value, seen: u64) {
    assert_eq!(finished.status().await.unwrap(), RunStatus::Success);
    let again = finished.result().await.unwrap().result;
    assert_eq!(again.as_ref(), Some(answer));

    let info = broken.info().await.unwrap();
    assert_eq!(info.status, RunStatus::Interrupted);
    assert!(info.items >= seen, "{} items of {seen}", info.items);
    let (numbers, error) = read(broken.stream().await.unwrap()).await;
    assert_eq!(numbers, (1..=info.items).collect::<Vec<_>>());
    let error = error.expect("the end of an interrupted run");
    assert!(error.to_string().contains("stopped"), "{error}");
    // The stream can also be read from the middle.
    let (rest, _) = read(broken.stream_after(seen).await.unwrap()).await;
    assert_eq!(rest, (seen + 1..=info.items).collect::<Vec<_>>());
}

/// The process of the agent stays the same and continues after the pause.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_broken_by_a_pause_continues_without_gaps() {
    const ITEMS: u64 = 200;
    for mode in IsolationMode::all() {
        let local = TestPlatform::start(mode).await;
        let template = local.template(agent().variable(JOURNAL.0, JOURNAL.1)).await;
        // The proxy cuts nothing by itself.
        let cuts = Cuts {
            percent: 0,
            request: 1,
            response: 1,
        };
        let proxy = CuttingProxy::start(local.platform.address(), cuts, 0).await;
        let client = local.client_with(ClientConfig {
            sandbox_url: Some(proxy.url()),
            // Each attempt uses a new connection, so that attempts can be counted.
            max_keepalive_connections: 0,
            ..config_with_retries()
        });
        let session = client.create_session(&template).await.unwrap();
        let call = json!({"stream": {"items": ITEMS, "pause_ms": 2}});
        let stream = session.invoke(call).resumable().stream().await.unwrap();
        let run = session.run(stream.request_id());
        let reading = tokio::spawn(read(stream));
        for items in [3, 90] {
            eventually_some("the run continues", async || {
                (run.info().await.unwrap().items >= items).then_some(())
            })
            .await;
            session.pause().await.unwrap();
            let connections = proxy.connections();
            proxy.break_all();
            eventually("the reader reconnects", || {
                proxy.connections() >= connections + 2
            })
            .await;
            session.resume().await.unwrap();
        }
        let expected = (1..=ITEMS).collect::<Vec<_>>();
        let (numbers, error) = with_timeout("the end", reading).await.unwrap();
        assert!(error.is_none(), "{error:?}");
        assert_eq!(numbers, expected, "{mode:?}");
        session.pause().await.unwrap();
        session.resume().await.unwrap();
        assert_eq!(run.status().await.unwrap(), RunStatus::Success);
        let (again, error) = read(run.stream().await.unwrap()).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(again, expected, "{mode:?}");
        drop((session, run));
        drop(client);
        local.stop_when_empty().await;
    }
}

/// After a pause without memory, and in a copy, the agent is a new process with the journal of the
/// previous process.
#[tokio::test(flavor = "multi_thread")]
async fn runs_are_restored_after_a_pause_without_memory_and_in_a_copy() {
    for mode in IsolationMode::all() {
        let local = TestPlatform::start(mode).await;
        let template = local.template(agent().variable(JOURNAL.0, JOURNAL.1)).await;
        let client = local.client_with(config_with_retries());
        let session = client.create_session(&template).await.unwrap();
        let id = session.sandbox_id().to_owned();

        let request = json!({"count": {"number": 7, "work_ms": 0}});
        let invoke = || {
            let invoke = session.invoke(request.clone());
            invoke.header("idempotency-key", "seven")
        };
        let first = invoke().request_id("finished").await.unwrap();
        let answer = first.result.unwrap();
        assert_eq!(answer, json!({"number": 7, "times": 1}));
        let endless = json!({"stream": {"items": 1_000_000, "pause_ms": 1}});
        let mut stream = session.invoke(endless).resumable().stream().await.unwrap();
        let broken = session.run(stream.request_id());
        let finished = session.run("finished");
        let mut numbers = Vec::new();
        while numbers.len() < 30 {
            let item = with_timeout("an item", stream.next()).await;
            numbers.push(number(&item.unwrap().unwrap()));
        }

        let path = |what: &str| format!("/sandboxes/{id}/{what}");
        let paused = call(&local, "POST", &path("pause"), &json!({"memory": false})).await;
        assert_eq!(paused.status, 204, "{mode:?}: {paused:?}");
        session.resume().await.unwrap();
        // The reader receives the rest of the items that were written, and then the end.
        let (rest, error) = read(stream).await;
        numbers.extend(rest);
        let error = error.expect("the end of an interrupted run");
        assert!(error.to_string().contains("stopped"), "{mode:?}: {error}");
        let seen = numbers.len() as u64;
        assert_eq!(numbers, (1..=seen).collect::<Vec<_>>(), "{mode:?}");
        assert_eq!(broken.info().await.unwrap().items, seen, "{mode:?}");
        check_restored(&finished, &broken, &answer, seen).await;
        // The idempotency key still belongs to the run, and nothing runs twice.
        assert_eq!(invoke().await.unwrap().result.as_ref(), Some(&answer));
        let report = session.invoke(json!({"report": {}})).json::<Value>();
        assert_eq!(report.await.unwrap()["numbers"], 0, "{mode:?}");

        // Copies the files while the agent is running.
        let running = json!({"stream": {"items": 1_000_000, "pause_ms": 1}});
        let mut stream = session.invoke(running).resumable().stream().await.unwrap();
        let running = stream.request_id().to_owned();
        for _ in 0..5 {
            with_timeout("an item", stream.next())
                .await
                .unwrap()
                .unwrap();
        }
        let snapshot = call(&local, "POST", &path("snapshots"), &json!({})).await;
        assert_eq!(snapshot.status, 201, "{mode:?}: {snapshot:?}");
        let snapshot = snapshot.json()["snapshotID"].as_str().unwrap().to_owned();
        let copy = client.create_session(&snapshot).await.unwrap();
        let in_copy = |run: &str| run_of(&id, &copy, run);
        check_restored(&in_copy("finished"), &in_copy(broken.id()), &answer, seen).await;
        check_restored(&in_copy("finished"), &in_copy(&running), &answer, 5).await;
        let original = session.run(&running);
        assert_eq!(original.status().await.unwrap(), RunStatus::Running);
        original.cancel().await.unwrap();
        drop((copy, stream, original, broken, finished, session));
        drop(client);
        local.stop_when_empty().await;
    }
}

/// If the agent ends during an invocation, the client sends the request again, but the invocation
/// does not run twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_interrupted_by_a_restart_is_not_run_again() {
    for journal in [false, true] {
        let local = TestPlatform::with(|builder| builder).await;
        let spec = agent().start_command(
            "while :; do ./tally-agent & echo $! > ~/pid; wait $!; sleep 0.05; done",
        );
        let spec = if journal {
            spec.variable(JOURNAL.0, JOURNAL.1)
        } else {
            spec
        };
        let template = local.template(spec).await;
        let client = local.client_with(config_with_retries());
        let session = client.create_session(&template).await.unwrap();
        let report = async || -> Value {
            let report = session.invoke(json!({"report": {}})).json();
            with_timeout("a report", report).await.unwrap()
        };
        let work = json!({"count": {"number": 7, "work_ms": 3_600_000}});
        let invoking = tokio::spawn(session.invoke(work).into_future());
        eventually_some("the invocation runs", async || {
            (report().await["numbers"] == 1).then_some(())
        })
        .await;
        let kill = Command::shell("kill -9 $(cat ~/pid)");
        session.envd().start(&kill).await.unwrap();
        let error = with_timeout("an answer", invoking).await.unwrap();
        let error = error.unwrap_err();
        assert_eq!(error.is_agent_restarted(), !journal, "{}", error.report());
        let text = error.to_string();
        let expected = if journal {
            "stopped"
        } else {
            "it is unknown whether"
        };
        assert!(text.contains(expected), "{text}");
        assert_eq!(report().await["numbers"], 0, "the invocation runs again");
        // The new process runs the next invocation.
        let next = json!({"count": {"number": 7, "work_ms": 0}});
        let next: Value = session.invoke(next).json().await.unwrap();
        assert_eq!(next["times"], 1);
        drop(session);
        drop(client);
        local.stop_when_empty().await;
    }
}
