//! Invocations that outlive their connections, through the edge of the local platform.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, InvocationStream, RunStatus};
use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually, eventually_some, with_timeout};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cutting_proxy::{Cuts, CuttingProxy};
use crate::test_platform::TestPlatform;

/// The variable with the seed of the random cuts, to repeat the cuts of an earlier test run.
const SEED: &str = "PPIO_CUTS_SEED";

/// The number of streams or invocations that run concurrently.
const CONCURRENCY: usize = 8;

fn seed() -> u64 {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED}={seed}");
    seed
}

impl TestPlatform {
    async fn tally_agent(&self) -> String {
        let binary = env!("CARGO_BIN_EXE_tally-agent");
        self.template(TemplateSpec::new("tally").binary(binary))
            .await
    }

    fn address(&self) -> SocketAddr {
        self.platform.address()
    }

    /// Returns a client that reaches sandboxes through the proxy and retries each request up to
    /// 1000 times.
    fn client_behind(&self, proxy: &CuttingProxy) -> AgentRuntimeClient {
        self.client_with(ClientConfig {
            sandbox_url: Some(proxy.url()),
            max_retries: 1000,
            retry_delay: Duration::from_millis(2),
            max_retry_delay: Duration::from_millis(20),
            // Every request has a separate connection, which may be cut.
            max_keepalive_connections: 0,
            ..ClientConfig::default()
        })
    }
}

/// Returns the numbers of all items, in the order in which they arrived.
async fn numbers(mut stream: InvocationStream) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(item) = stream.next().await {
        let item = item.unwrap_or_else(|error| panic!("{}", error.report()));
        numbers.push(item[0].as_u64().expect("a number"));
    }
    numbers
}

fn stream_of(items: u64, pause_ms: u64) -> Value {
    json!({"stream": {"items": items, "pause_ms": pause_ms}})
}

/// Every stream yields each item exactly once, however often its connections break. Compare
/// vercel/ai #6502 and google/adk-python #4029.
#[tokio::test(flavor = "multi_thread")]
async fn streams_cut_two_thousand_times_are_complete() {
    const CUTS: usize = 2000;
    const ITEMS: u64 = 60;
    let seed = seed();
    let local = TestPlatform::with(|builder| builder).await;
    let tally = local.tally_agent().await;
    let cuts = Cuts {
        percent: 90,
        request: 3000,
        response: 700,
    };
    let proxy = Arc::new(CuttingProxy::start(local.address(), cuts, seed).await);
    let client = local.client_behind(&proxy);
    let session = client.create_session(&tally).await.unwrap();
    proxy.cut(true);
    let mut reading = JoinSet::new();
    let mut streams = 0;
    while proxy.cuts() < CUTS || !reading.is_empty() {
        while proxy.cuts() < CUTS && reading.len() < CONCURRENCY {
            streams += 1;
            let session = session.clone();
            reading.spawn(async move {
                let call = session.invoke(stream_of(ITEMS, 0)).resumable();
                let stream = call.stream().await;
                let stream = stream.unwrap_or_else(|error| panic!("{}", error.report()));
                numbers(stream).await
            });
        }
        let read = with_timeout("a stream ends", reading.join_next()).await;
        assert_eq!(
            read.unwrap().unwrap(),
            (1..=ITEMS).collect::<Vec<_>>(),
            "{SEED}={seed}"
        );
    }
    println!("{streams} streams, {} cuts", proxy.cuts());
    proxy.cut(false);
    // No stream was started a second time.
    let runs = session.runs().await.unwrap();
    assert_eq!(runs.len(), streams);
    assert!(runs.iter().all(|run| run.items == ITEMS));
    drop(session);
    drop(client);
    local.stop_when_empty().await;
}

/// Three readers read every item of a run at different speeds, over connections that break, while
/// the sandbox is paused and resumed.
#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_run_continue_after_a_pause() {
    const ITEMS: u64 = 200;
    let seed = seed();
    let local = TestPlatform::with(|builder| builder).await;
    let tally = local.tally_agent().await;
    let cuts = Cuts {
        percent: 80,
        request: 3000,
        response: 800,
    };
    let proxy = CuttingProxy::start(local.address(), cuts, seed).await;
    let client = local.client_behind(&proxy);
    let session = client.create_session(&tally).await.unwrap();
    proxy.cut(true);
    let stream = session.invoke(stream_of(ITEMS, 5)).resumable().stream();
    let first = stream.await.unwrap();
    let run = session.run(first.request_id());
    let mut readers = JoinSet::new();
    readers.spawn(numbers(first));
    for pause_ms in [1, 20] {
        let mut stream = run.stream().await.unwrap();
        readers.spawn(async move {
            let mut numbers = Vec::new();
            while let Some(item) = stream.next().await {
                let item = item.unwrap_or_else(|error| panic!("{}", error.report()));
                numbers.push(item[0].as_u64().expect("a number"));
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            numbers
        });
    }
    // The connections of this client are not cut.
    let other = local.client();
    let direct = other.get_session(session.sandbox_id()).await.unwrap();
    let direct = direct.unwrap();
    for items in [20, 100] {
        eventually_some("the run continues", async || {
            let run = direct.run(run.id()).info().await.unwrap();
            (run.items >= items).then_some(())
        })
        .await;
        direct.pause().await.unwrap();
        // In the meantime the readers reconnect more than once.
        let connections = proxy.connections();
        proxy.break_all();
        eventually("the readers reconnect", || {
            proxy.connections() >= connections + 6
        })
        .await;
        direct.resume().await.unwrap();
    }
    while let Some(read) = with_timeout("a reader ends", readers.join_next()).await {
        assert_eq!(
            read.unwrap(),
            (1..=ITEMS).collect::<Vec<_>>(),
            "{SEED}={seed}"
        );
    }
    println!("{} cuts", proxy.cuts());
    assert_eq!(run.status().await.unwrap(), RunStatus::Success);
    drop((session, direct, run));
    drop((client, other));
    local.stop_when_empty().await;
}

/// Each invocation runs once and each caller receives its answer, even if its connections are cut.
/// Compare e2b-dev/E2B #1658.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_invocations_run_once_each() {
    const INVOCATIONS: u64 = 5000;
    let seed = seed();
    let local = TestPlatform::with(|builder| builder).await;
    let tally = local.tally_agent().await;
    let cuts = Cuts {
        percent: 50,
        request: 1500,
        response: 500,
    };
    let proxy = CuttingProxy::start(local.address(), cuts, seed).await;
    let client = local.client_behind(&proxy);
    let session = client.create_session(&tally).await.unwrap();
    proxy.cut(true);
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let mut invoking = JoinSet::new();
    for number in 0..INVOCATIONS {
        let permit = Arc::clone(&permits).acquire_owned().await.unwrap();
        let session = session.clone();
        invoking.spawn(async move {
            let work_ms = number % 4;
            let request = json!({"count": {"number": number, "work_ms": work_ms}});
            let answer = with_timeout("an answer", session.invoke(request).json::<Value>()).await;
            drop(permit);
            let answer = answer.unwrap_or_else(|error| panic!("{number}: {}", error.report()));
            assert_eq!(answer, json!({"number": number, "times": 1}));
        });
        while let Some(answered) = invoking.try_join_next() {
            answered.unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"));
        }
    }
    while let Some(answered) = invoking.join_next().await {
        answered.unwrap_or_else(|error| panic!("{SEED}={seed}: {error}"));
    }
    println!("{} cuts", proxy.cuts());
    assert!(proxy.cuts() > 500, "{} cuts", proxy.cuts());
    proxy.cut(false);
    let report: Value = session.invoke(json!({"report": {}})).json().await.unwrap();
    assert_eq!(report, json!({"numbers": INVOCATIONS, "twice": []}));
    drop(session);
    drop(client);
    local.stop_when_empty().await;
}
