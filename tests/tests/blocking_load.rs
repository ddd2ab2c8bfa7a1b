//! Measures synchronous code: health checks stay fast while hundreds of functions block.
//!
//! This is a separate program because it raises its limit of open files and measures times, which
//! tests in the same process would disturb.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ppio_test_support::{AgentProcess, call, eventually_some};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

/// The time limit for a health check, whatever else the agent is doing.
const MAX_PING_TIME: Duration = Duration::from_millis(50);
/// The number of attempts, because the machine may be busy for a moment. A health check that waits
/// for the agent's code is late in every attempt.
const ATTEMPTS: usize = 4;
/// The maximum number of threads: those that the agent's code may occupy by default, those that are
/// kept free of this code, and a few for everything else.
const MAX_THREADS: usize = 496 + 16 + 20;

/// A connection that requests `/ping`.
struct Checker(TcpStream);

impl Checker {
    fn connect(agent: &AgentProcess) -> Self {
        let socket = TcpStream::connect(agent.addr()).unwrap();
        socket.set_nodelay(true).unwrap();
        Self(socket)
    }

    /// Requests `/ping` until `enough` returns true, and returns the time of the slowest answer.
    fn slowest(mut self, mut enough: impl FnMut() -> bool) -> Duration {
        let mut slowest = Duration::ZERO;
        let mut answer = [0; 4096];
        while !enough() {
            let asked = Instant::now();
            let request = b"GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n";
            self.0.write_all(request).unwrap();
            // The answer is a single small write.
            let length = self.0.read(&mut answer).unwrap();
            slowest = slowest.max(asked.elapsed());
            assert!(answer[..length].starts_with(b"HTTP/1.1 200 "));
            // The request rate of a busy platform. This sleep does not wait for a condition.
            thread::sleep(Duration::from_millis(2));
        }
        slowest
    }
}

async fn metric(agent: &AgentProcess, name: &str) -> usize {
    let page = call::get(agent, "/metrics").await.text().await;
    usize::try_from(ppio_test_support::metric(&page, name)).unwrap()
}

async fn eventually_running(agent: &AgentProcess, count: usize) {
    eventually_some(&format!("{count} running invocations"), async || {
        (metric(agent, "invocations_running").await == count).then_some(())
    })
    .await;
}

/// Returns the number of threads of the process.
fn threads(agent: &AgentProcess) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()));
    let status = status.unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_functions_do_not_delay_health_checks() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_sleeping-agent"))).start();
    let mut late = Vec::new();
    let nap = json!({ "ms": 2000 });
    for _ in 0..ATTEMPTS {
        let checker = Checker::connect(&agent);
        let over = Arc::new(AtomicBool::new(false));
        let enough = Arc::clone(&over);
        let checks = thread::spawn(move || checker.slowest(move || enough.load(Ordering::Relaxed)));
        let started = Instant::now();
        let calls = (0..200).map(|_| call::invoke(&agent, &nap));
        for answer in join_all(calls).await {
            assert_eq!(answer.result().await, 2000);
        }
        // One after the other, the 200 calls would take 400 s; on two threads still 200 s.
        assert!(started.elapsed() < Duration::from_secs(20));
        over.store(true, Ordering::Relaxed);
        let slowest = checks.join().unwrap();
        if slowest <= MAX_PING_TIME {
            return;
        }
        late.push(slowest);
    }
    panic!("the slowest health check of each attempt took {late:?}");
}

/// There are more invocations than threads: the waiting invocations do not delay a synchronous
/// health check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_health_check_has_a_reserved_thread() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_sleeping-agent")))
        .env("PPIO_AGENT_BLOCKING_THREADS", "4")
        .start();
    let nap = json!({ "ms": 60_000 });
    let _naps = join_all((0..20).map(|_| call::begin(&agent, &nap))).await;
    eventually_running(&agent, 20).await;
    for _ in 0..50 {
        let ping = call::get(&agent, "/ping").await.json().await;
        assert_eq!(ping["status"], "Healthy");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_slow_iterators_share_a_few_hundred_threads() {
    const STREAMS: usize = 2000;
    // The agent inherits this limit of open files.
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_slow-items-agent"))).start();
    let pace = json!({ "ms": 50 });
    let begun = (0..STREAMS).map(|_| call::invoke(&agent, &pace));
    let mut streams = join_all(begun).await;
    eventually_running(&agent, STREAMS).await;
    // Each stream makes progress and is not starved by the others.
    for number in 0..3 {
        for stream in &mut streams {
            let items = stream.next_items().await.unwrap();
            assert_eq!(items, [number]);
        }
        let threads = threads(&agent);
        assert!(threads <= MAX_THREADS, "{threads} threads");
    }
    assert_eq!(metric(&agent, "invocations_running").await, STREAMS);
    let mut late = Vec::new();
    for _ in 0..ATTEMPTS {
        let checker = Checker::connect(&agent);
        let mut left = 300;
        let enough = move || {
            left -= 1;
            left == 0
        };
        let checks = tokio::task::spawn_blocking(move || checker.slowest(enough));
        late.push(checks.await.unwrap());
        if late.last() <= Some(&MAX_PING_TIME) {
            break;
        }
    }
    assert!(late.last() <= Some(&MAX_PING_TIME), "{late:?}");
    drop(streams);
    eventually_running(&agent, 0).await;
}
