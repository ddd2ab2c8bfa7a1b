//! Agents are killed by `kill -9` at random; after a restart they still have all that readers
//! received.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use futures_util::stream;
use ppio::{AgentRuntimeApp, Error, OnDisconnect, Reply, RuntimeConfig, Value, json};
use ppio_test_support::{AgentLauncher, AgentProcess};

use super::support::{Event, parse};

const KILLS: usize = 200;
/// How many agents are killed at the same time, each with its own directory.
const AGENTS: usize = 4;

/// The item with this number in the stream of a seed.
fn item(seed: u64, number: u64) -> Value {
    let length = usize::try_from((seed * 31 + number * 7) % 300).expect("a length");
    json!({ "seed": seed, "number": number, "text": "x".repeat(length) })
}

/// The agent of these tests, which runs as a separate process.
#[test]
#[ignore = "a program that other tests start"]
fn agent_program() {
    if std::env::var_os("PPIO_AGENT_JOURNAL").is_none() {
        return;
    }
    let config = RuntimeConfig::new()
        .worker_threads(2)
        .on_disconnect(OnDisconnect::Continue);
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|request: Value| async move {
            let seed = request["seed"].as_u64().unwrap_or_default();
            let count = request["count"].as_u64().unwrap_or_default();
            if count == 0 {
                return Reply::Value(item(seed, 0));
            }
            Reply::Stream(Box::pin(stream::unfold(1, move |number| async move {
                // Some items are sent together.
                if (seed + number).is_multiple_of(3) {
                    tokio::task::yield_now().await;
                }
                let item = Ok::<_, Error>(item(seed, number));
                (number <= count).then_some((item, number + 1))
            })))
        })
        .build();
    app.expect("a valid configuration").run().expect("an agent");
}

/// Returns a launcher of [`agent_program`].
pub(super) fn program(journal: &Path) -> AgentLauncher {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "runs::journal_kills::agent_program"]);
    command.args(["--ignored", "--nocapture"]);
    AgentProcess::command(command).env("PPIO_AGENT_JOURNAL", journal)
}

/// One invocation, and what its caller received.
struct Invocation {
    id: String,
    body: String,
    seed: u64,
    count: u64,
    received: Vec<u8>,
}

/// Sends an HTTP/1.0 request, and returns the connection, which ends after the answer.
fn open(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let timeout = Some(Duration::from_secs(20));
    stream.set_read_timeout(timeout).expect("a timeout");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    stream
}

/// Sends a request, and returns the status line with the headers, and the body of the answer.
pub(super) fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> (String, String) {
    let mut answer = String::new();
    open(address, method, path, headers, body)
        .read_to_string(&mut answer)
        .expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

impl Invocation {
    fn new(id: String, random: &mut fastrand::Rng) -> Self {
        let seed = random.u64(..1000);
        let count = random.choice([0, 1, 3, 100, 1000, 2000]).expect("a count");
        Self {
            id,
            body: json!({ "seed": seed, "count": count, "stream": count > 0 }).to_string(),
            seed,
            count,
            received: Vec::new(),
        }
    }

    fn headers(&self) -> String {
        let id = &self.id;
        format!("x-request-id: {id}\r\nidempotency-key: {id}\r\nppio-stream-ids: true\r\n")
    }

    /// Sends the request.
    fn send(&self, address: SocketAddr) -> TcpStream {
        open(address, "POST", "/invocations", &self.headers(), &self.body)
    }

    /// Receives the answer until the agent is killed.
    fn receive(&mut self, mut stream: TcpStream, received: &dyn Fn(usize)) {
        let mut buffer = [0; 1500];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            self.received.extend_from_slice(&buffer[..length]);
            received(length);
        }
    }

    /// Checks what a restarted agent returns for this invocation after a kill.
    fn check(&self, address: SocketAddr) {
        let received = String::from_utf8_lossy(&self.received);
        let seen = received.split_once("\r\n\r\n");
        let path = format!("/invocations/{}", self.id);
        let (head, state) = call(address, "GET", &path, "", "");
        if !head.starts_with("HTTP/1.0 200") {
            // The agent was killed before the invocation started.
            assert!(head.starts_with("HTTP/1.0 404") && seen.is_none(), "{head}");
            return;
        }
        let state: Value = serde_json::from_str(&state).expect("a state");
        let status = state["status"].as_str().expect("a status");
        assert!(matches!(status, "success" | "interrupted"), "{state}");
        if self.count == 0 {
            let (_, answer) = call(address, "GET", &format!("{path}/response"), "", "");
            let answer: Value = serde_json::from_str(&answer).expect("an answer");
            let whole = seen.and_then(|(_, body)| serde_json::from_str::<Value>(body).ok());
            if whole.is_some() || status == "success" {
                assert_eq!(answer["result"], item(self.seed, 0), "{answer}");
            } else {
                assert_eq!(answer["error_type"], "AgentStopped");
            }
        } else {
            let (_, stream) = call(address, "GET", &format!("{path}/events"), "", "");
            assert!(stream.ends_with("\n\n"), "{stream}");
            let mut kept = parse(&stream);
            let seen = parse(seen.map_or("", |(_, body)| body));
            assert!(
                kept.starts_with(&seen),
                "{} events are kept of {seen:?}",
                kept.len()
            );
            let end = kept.pop();
            assert!(
                matches!(&end, Some(Event::End(end)) if end["status"] == status),
                "{end:?}"
            );
            let count = kept.len() as u64;
            for (number, event) in (1..).zip(kept) {
                assert_eq!(event, Event::Item(number, item(self.seed, number)));
            }
            assert_eq!(state["items"], count);
            assert!(status == "interrupted" || count == self.count, "{state}");
        }
        // A request with the same key joins the run, and does not start another run.
        let (head, _) = call(address, "POST", "/invocations", &self.headers(), &self.body);
        assert!(head.contains("ppio-idempotency: replayed"), "{head}");
    }
}

/// The total size of the files of a journal, in bytes.
pub(super) fn size(journal: &Path) -> u64 {
    let files = std::fs::read_dir(journal).expect("a directory");
    files
        .filter_map(|file| file.ok()?.metadata().ok())
        .map(|file| file.len())
        .sum()
}

fn kill_at_random(kills: usize, random: &mut fastrand::Rng) {
    let journal = tempfile::tempdir().expect("a directory");
    let total = 2 << 20;
    let launch = || {
        program(journal.path())
            .env("PPIO_AGENT_MAX_TOTAL_RUN_SIZE", total.to_string())
            .start()
    };
    let mut last: Vec<Invocation> = Vec::new();
    for round in 0..kills {
        if random.u8(..8) == 0 {
            // This agent is killed at a random moment of its start.
            let starting = program(journal.path()).spawn();
            std::thread::sleep(Duration::from_millis(random.u64(..60)));
            drop(starting);
        }
        let agent = launch();
        let address = agent.addr();
        for invocation in &last {
            invocation.check(address);
        }
        let mut now: Vec<_> = (0..3)
            .map(|number| Invocation::new(format!("{round}-{number}"), random))
            .collect();
        // Some agents are killed at the first byte.
        let limit = random.usize(..300_000).saturating_sub(30_000);
        let total_received = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (reached, is_reached) = channel();
            for invocation in &mut now {
                let (reached, total_received) = (reached.clone(), &total_received);
                // The request is sent before a kill, after which another agent may get the port.
                let stream = invocation.send(address);
                scope.spawn(move || {
                    invocation.receive(stream, &|length| {
                        if total_received.fetch_add(length, Ordering::Relaxed) + length > limit {
                            reached.send(()).ok();
                        }
                    });
                });
            }
            drop(reached);
            // Wait until `limit` is exceeded, or every answer has ended.
            let _ = is_reached.recv();
            // This sends SIGKILL.
            drop(agent);
        });
        let size = size(journal.path());
        assert!(size < total + 512 * 1024, "{size} bytes");
        last = now;
    }
    let agent = launch();
    for invocation in last {
        invocation.check(agent.addr());
    }
}

#[test]
fn everything_that_a_reader_received_is_kept_after_a_kill() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    std::thread::scope(|scope| {
        for agent in 0..AGENTS {
            let mut random = fastrand::Rng::with_seed(seed ^ agent as u64);
            scope.spawn(move || kill_at_random(KILLS / AGENTS, &mut random));
        }
    });
}

/// The operating system refuses writes beyond a limit, as it does when the disk is full.
#[test]
fn a_run_that_cannot_be_written_fails_with_the_reason() {
    let journal = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    command.arg("-c");
    command.arg("trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\"");
    command.arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "runs::journal_kills::agent_program"]);
    command.args(["--ignored", "--nocapture"]);
    let launcher = AgentProcess::command(command).env("PPIO_AGENT_JOURNAL", journal.path());
    let agent = launcher.start();
    let headers = "x-request-id: long\r\nppio-stream-ids: true\r\n";
    let body = r#"{"seed": 1, "count": 5000, "stream": true}"#;
    let (_, stream) = call(agent.addr(), "POST", "/invocations", headers, body);
    let mut events = parse(&stream);
    let Some(Event::End(end)) = events.pop() else {
        panic!("{events:?} has no end");
    };
    assert_eq!(end["status"], "error");
    assert_eq!(end["error_type"], "JournalError");
    let reason = end["error"].as_str().expect("an error");
    assert!(
        reason.contains("cannot be written to the journal"),
        "{reason}"
    );
    let sent = events.len();
    assert!((1..5000).contains(&sent), "{sent}");
    // Other runs are not affected.
    let (head, _) = call(agent.addr(), "POST", "/invocations", "", r#"{"seed": 1}"#);
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    drop(agent);
    let agent = program(journal.path()).start();
    let (_, stream) = call(agent.addr(), "GET", "/invocations/long/events", "", "");
    let kept = parse(&stream);
    assert!(
        kept.starts_with(&events),
        "{} events are kept of {sent}",
        kept.len()
    );
    let end = kept.last();
    assert!(
        matches!(end, Some(Event::End(end)) if end["status"] == "interrupted"),
        "{end:?}"
    );
}
