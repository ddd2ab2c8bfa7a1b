//! `agent dev --chaos`: how callers and the agent are disturbed, and what is printed about it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig, Error, SandboxSession};
use ppio_test_support::eventually_some;
use ppio_test_support::scripted_platform::ScriptedPlatform;
use serde_json::{Value, json};

use crate::support::dev::{Dev, ask, open, python_project, rust_project, send_request};
use crate::support::scaffold::edit;
use crate::support::{Sandbox, eventually, is_alive, on_runtime, scaffold};

/// An agent in Python that answers a call with a value, or with a stream if the body of the call is
/// `stream`. On SIGTERM, the agent finishes the answers that it has begun.
const AGENT: &str = r#"
import http.server, json, os, signal, sys, threading, time

class Agent(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        if body != b"stream":
            answer = json.dumps({"value": "x" * 100, "id": self.headers["x-request-id"]}).encode()
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for item in range(8):
                event = b"data: %d\n\n" % item
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
                time.sleep(0.01)
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            print("the caller is gone", file=sys.stderr)

    def log_message(self, *words):
        pass

port = int(os.environ["PPIO_AGENT_PORT"])
server = http.server.ThreadingHTTPServer((os.environ["PPIO_AGENT_HOST"], port), Agent)
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("process", os.getpid(), file=sys.stderr)
server.serve_forever()
server.server_close()
print("the agent has ended", file=sys.stderr)
"#;

const STREAM: &str =
    "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\ndata: 6\n\ndata: 7\n\n";

fn start(sandbox: &Sandbox, folder: &Path, options: &[&str]) -> Dev {
    let command = sandbox.command(["agent", "dev", "--port", "0"]);
    let running = command.args(options).in_folder(folder).spawn();
    Dev { running }
}

/// Sends a call. Returns what arrived until the end of the connection.
fn call(address: &str, body: &str) -> String {
    rest_of(open(address, &format!("POST /invocations\n{body}")))
}

fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut may end with a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("UTF-8")
}

/// Returns the body of the agent's answer; `None` if the answer was cut, as its framing shows, or
/// if there was no agent.
fn whole(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let head = head.to_ascii_lowercase();
    let has_status = |status: &str| head.starts_with(&format!("http/1.1 {status} "));
    let length = head.split_once("content-length: ").map(|(_, rest)| {
        let length = rest.lines().next().expect("a line");
        length.parse::<usize>().expect("a length")
    });
    assert!(length.is_none_or(|length| body.len() <= length), "{answer}");
    let is_cut = length.is_some_and(|length| body.len() < length);
    // The agent got SIGTERM when it had not yet accepted the connection, or its next start took
    // long.
    for (status, error) in [
        ("502", "the agent ended before it answered"),
        ("503", "the agent is being built or started"),
    ] {
        if has_status(status) {
            // An error is cut like any other answer.
            assert!(is_cut || body.contains(error), "{answer}");
            return None;
        }
    }
    assert!(has_status("200"), "{answer}");
    if length.is_some() {
        return (!is_cut).then(|| body.to_owned());
    }
    let mut rest = body.strip_suffix("0\r\n\r\n")?;
    let mut text = String::new();
    while !rest.is_empty() {
        let (length, chunk) = rest.split_once("\r\n").expect("a chunk");
        let length = usize::from_str_radix(length, 16).expect("a length");
        text.push_str(&chunk[..length]);
        rest = chunk[length..].strip_prefix("\r\n").expect("an end");
    }
    Some(text)
}

/// Returns the events with this name.
fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    let named = lines.iter().filter(|event| event["event"] == name);
    named.collect()
}

#[test]
fn two_hundred_calls_are_answered_or_cut_cleanly_in_every_way() {
    const CALLS: usize = 200;
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, AGENT);
    let dev = start(&sandbox, &folder, &["--chaos", "3"]);
    dev.says("chaos: one call in four is disturbed; `--chaos 3` disturbs the same calls");
    let address = dev.address();
    let (next, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= CALLS {
                        return;
                    }
                    let body = if number.is_multiple_of(2) {
                        "{}"
                    } else {
                        "stream"
                    };
                    let answer = call(&address, body);
                    match whole(&answer) {
                        None => drop(cut.fetch_add(1, Ordering::Relaxed)),
                        Some(text) if body == "stream" => assert_eq!(text, STREAM),
                        Some(text) => {
                            let value: Value = serde_json::from_str(&text).expect("JSON");
                            assert_eq!(value["value"], "x".repeat(100));
                        }
                    }
                }
            });
        }
    });
    let output = dev.output();
    let count = |words: &str| output.matches(words).count();
    let drops = count("chaos: dropped the caller in the middle of the answer (run ");
    assert!(drops > 5, "{output}");
    assert!(count("the caller is gone") > 0, "{output}");
    assert!(count("chaos: reads the answer slowly") > 5, "{output}");
    assert!(
        count("chaos: paused the agent for 2 s (run chaos-3-") > 0,
        "{output}"
    );
    let terminated =
        count("chaos: sent SIGTERM to the agent, which is started again (run chaos-3-");
    assert!(terminated > 0, "{output}");
    let cut = cut.into_inner();
    assert!(
        cut >= drops && cut < CALLS / 3,
        "{cut} answers are cut; {output}"
    );
    // The line begins with the time of day, like the lines of the log.
    let line = output.lines().find(|line| line.contains("chaos: dropped"));
    let time = regex::Regex::new(r"^\d\d:\d\d:\d\d\.\d{3}Z chaos: ").expect("a pattern");
    assert!(time.is_match(line.expect("a line")), "{output}");

    let agent = dev.agent();
    dev.running.interrupt();
    dev.running.wait().code(0);
    assert!(!is_alive(agent));
    sandbox.wait_until_nothing_is_left();
}

/// A seed, the number of calls, and the calls that the seed disturbs.
type Seeded<'a> = (&'a str, usize, &'a [(u64, &'a str)]);

#[test]
fn the_same_seed_disturbs_the_same_calls() {
    let of_23: Seeded<'_> = (
        "23",
        17,
        &[
            (5, "terminate"),
            (11, "slow"),
            (14, "drop"),
            (16, "slow"),
            (17, "pause"),
        ],
    );
    let table = [
        of_23,
        of_23,
        ("7", 6, &[(3, "drop"), (6, "slow")]),
        ("4294967295", 0, &[]),
    ];
    for (seed, calls, expected) in table {
        let sandbox = Sandbox::new();
        let folder = python_project(&sandbox, AGENT);
        let dev = start(&sandbox, &folder, &["--json", "--chaos", seed]);
        let address = json_address(&dev);
        for number in 1..=calls {
            // A ping does not count as a call.
            ask(&address, "GET /ping");
            let own_id = send_request(&address, "POST /invocations", "x-request-id: mine", "{}");
            if let Some(text) = whole(&rest_of(own_id)) {
                let id = serde_json::from_str::<Value>(&text).expect("JSON")["id"].take();
                assert_eq!(id, "mine", "call {number}");
            }
        }
        eventually("every disturbance is reported", || {
            dev.output().matches("\"disturbed\"").count() >= expected.len()
        });
        dev.running.interrupt();
        let lines = dev.running.wait().code(0).json_lines();
        let start = json!({ "event": "chaos", "seed": seed.parse::<u32>().expect("a seed") });
        assert_eq!(events(&lines, "chaos"), [&start]);
        let mut reported: Vec<_> = events(&lines, "disturbed").into_iter().cloned().collect();
        for event in &mut reported {
            let time = event["time"].take();
            assert!(
                time.as_str().is_some_and(|time| time.starts_with("20")),
                "{time}"
            );
        }
        // A disturbance of the agent is reported when it happens, which may be during a later call.
        reported.sort_by_key(|event| event["call"].as_u64());
        let expected = expected.iter().map(|(call, disturbance)| {
            json!({ "event": "disturbed", "time": null, "call": call, "run_id": "mine", "disturbance": disturbance })
        });
        assert_eq!(reported, expected.collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_seed_is_chosen_and_without_the_option_nothing_is_disturbed() {
    for (options, seeds) in [(&["--json", "--chaos"][..], 1), (&["--json"], 0)] {
        let sandbox = Sandbox::new();
        let folder = python_project(&sandbox, AGENT);
        let dev = start(&sandbox, &folder, options);
        let address = json_address(&dev);
        if seeds == 0 {
            for _ in 0..50 {
                assert!(whole(&call(&address, "{}")).is_some());
            }
        }
        dev.running.interrupt();
        let lines = dev.running.wait().code(0).json_lines();
        let chosen = events(&lines, "chaos");
        assert_eq!(chosen.len(), seeds);
        assert!(chosen.iter().all(|event| event["seed"].is_u64()));
        assert!(events(&lines, "disturbed").is_empty());
    }
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, AGENT);
    let dev = sandbox.command(["agent", "dev", "--chaos", "often"]);
    let done = dev.in_folder(&folder).run().code(2);
    done.says("invalid value 'often' for '--chaos [<SEED>]'");
}

/// Calls to an earlier agent process do not disturb the current one.
#[test]
fn only_the_agent_that_was_called_is_disturbed() {
    const CALLS: usize = 120;
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "disturbed");
    let build_is_held = sandbox.path("held");
    let script = format!(
        "fn main() {{ while std::path::Path::new({build_is_held:?}).exists() {{ \
         std::thread::sleep(std::time::Duration::from_millis(5)) }} }}"
    );
    fs::write(folder.join("build.rs"), script).expect("written");
    let arguments = ["agent", "dev", "--port", "0", "--chaos", "3"];
    let dev = Dev {
        running: scaffold::command(&sandbox, &folder, &arguments).spawn(),
    };
    let address = dev.address();
    fs::write(&build_is_held, "").expect("written");
    edit(&folder.join("src/main.rs"), "debug profile", "second build");
    dev.says("src/main.rs changed");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..CALLS / 8).for_each(|_| drop(call(&address, "{}"))));
        }
    });
    fs::remove_file(&build_is_held).expect("removed");
    dev.says("the new disturbed is serving");
    let disturbing_calls = || {
        let output = dev.output();
        let lines = output.lines();
        let lines = lines.filter(|line| line.contains(" the agent ") || line.contains("SIGTERM"));
        let calls = lines.filter_map(|line| line.split_once(", call ")?.1.strip_suffix(')'));
        let calls = calls.map(|call| call.parse::<usize>().expect("a number"));
        calls.collect::<Vec<_>>()
    };
    eventually("the new agent is disturbed", || {
        call(&address, "{}");
        !disturbing_calls().is_empty()
    });
    assert!(
        disturbing_calls().iter().all(|call| *call > CALLS),
        "{}",
        dev.output()
    );
    dev.running.interrupt();
    dev.running.wait().code(0);
}

/// The seed of this test pauses the agent at the third call.
#[test]
fn ctrl_c_ends_an_agent_that_is_paused() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, AGENT);
    let dev = start(&sandbox, &folder, &["--chaos", "35"]);
    let address = dev.address();
    let agent = dev.agent();
    for _ in 0..3 {
        assert!(whole(&call(&address, "{}")).is_some());
    }
    dev.says("chaos: paused the agent for 2 s (run chaos-35-3, call 3)");
    eventually("the agent is stopped", || is_stopped(agent));
    // The agent does not handle SIGTERM before it continues; if it did not continue, it would be
    // killed after 5 s.
    dev.running.interrupt();
    let done = dev.running.wait().code(0);
    assert!(done.stdout.contains("the agent has ended"), "{done:?}");
    assert!(!is_alive(agent));
    sandbox.wait_until_nothing_is_left();
}

fn is_stopped(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| status.contains(") T "))
}

/// Returns the address in JSON output.
fn json_address(dev: &Dev) -> String {
    dev.says("\"serving\"");
    let output = dev.output();
    let (_, rest) = output.split_once("http://").expect("a URL");
    rest.split('/').next().expect("an address").to_owned()
}

/// An agent that records its calls in a file, and answers with a value or a stream.
const KEPT_AGENT: &str = r#"
use std::io::Write as _;
use std::time::Duration;

use ppio::tokio::time::sleep;
use ppio::{Reply, Stream, Value, json, stream};

#[ppio::entrypoint(on_disconnect = "continue")]
async fn agent(request: Value) -> Reply<Value, impl Stream<Item = Value>> {
    let number = request["number"].as_u64().unwrap();
    let calls = std::env::var("CALLS_FILE").unwrap();
    let mut calls = std::fs::File::options().create(true).append(true).open(calls).unwrap();
    calls.write_all(format!("{number}\n").as_bytes()).unwrap();
    if request["stream"] == true {
        Reply::Stream(stream! {
            for item in 0..10 {
                sleep(Duration::from_millis(20)).await;
                yield json!([number, item]);
            }
        })
    } else {
        sleep(Duration::from_millis(20)).await;
        Reply::Value(json!({ "number": number }))
    }
}
"#;

/// Returns the outcome of a call; `None` if the agent refused the call because it had got SIGTERM.
/// Such a call has not run, and the client returns the refusal, so that the caller has to send the
/// call again.
fn unless_draining<T>(outcome: Result<T, Error>) -> Option<Result<T, Error>> {
    match &outcome {
        Err(Error::Invocation { error_type, .. }) if error_type.as_deref() == Some("Draining") => {
            None
        }
        _ => Some(outcome),
    }
}

/// Invokes the agent once, and checks that the answer is complete.
async fn invoke(session: &SandboxSession, number: usize) {
    let is_stream = number.is_multiple_of(2);
    let request = json!({ "number": number, "stream": is_stream });
    let what = format!("an agent that takes call {number}");
    if !is_stream {
        let answer: Value = eventually_some(&what, async || {
            unless_draining(session.invoke(request.clone()).json().await)
        })
        .await
        .unwrap_or_else(|error| panic!("call {number}: {}", error.report()));
        assert_eq!(answer, json!({ "number": number }));
        return;
    }
    let mut stream = eventually_some(&what, async || {
        let call = session.invoke(request.clone()).resumable();
        unless_draining(call.stream().await)
    })
    .await
    .unwrap_or_else(|error| panic!("call {number}: {}", error.report()));
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        let item = item.unwrap_or_else(|error| panic!("call {number}: {}", error.report()));
        items.push(item);
    }
    let expected: Vec<_> = (0..10).map(|item| json!([number, item])).collect();
    assert_eq!(items, expected);
}

#[test]
fn a_client_of_kept_runs_gets_every_answer_once() {
    const CALLS: usize = 120;
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "chaotic", "hello");
    fs::write(folder.join("src/main.rs"), KEPT_AGENT).expect("written");
    let calls = sandbox.path("calls");
    let arguments = ["agent", "dev", "--port", "0", "--chaos", "3"];
    let command = scaffold::command(&sandbox, &folder, &arguments)
        .env("CALLS_FILE", &calls)
        .env("PPIO_AGENT_JOURNAL", sandbox.path("journal"));
    let dev = Dev {
        running: command.spawn(),
    };
    let address = dev.address();
    on_runtime(async {
        let platform = ScriptedPlatform::start().await;
        let config = ClientConfig {
            base_url: Some(platform.url()),
            domain: Some(platform.domain()),
            // The calls to the sandbox of the session are sent to this agent.
            sandbox_url: Some(format!("http://{address}")),
            retry_delay: Duration::from_millis(5),
            max_retries: 10,
            ..ClientConfig::default()
        };
        let client = AgentRuntimeClient::builder()
            .api_key("sk-test")
            .config(config);
        let client = client.build().expect("a client");
        let session = client.create_session("tmpl_1").await.expect("a session");
        let next = AtomicUsize::new(0);
        let worker = async || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CALLS {
                    return;
                }
                invoke(&session, number).await;
            }
        };
        tokio::join!(worker(), worker(), worker(), worker());
    });
    let output = dev.output();
    for words in [
        "dropped the caller",
        "slowly",
        "paused the agent",
        "sent SIGTERM",
    ] {
        assert!(output.contains(words), "no {words:?} in {output}");
    }
    // No call ran twice.
    let calls = fs::read_to_string(calls).expect("the calls");
    let mut times = BTreeMap::new();
    for number in calls.lines() {
        *times.entry(number.to_owned()).or_insert(0) += 1;
    }
    assert_eq!(times.len(), CALLS);
    times.retain(|_, times| *times > 1);
    assert!(times.is_empty(), "{times:?}");
    dev.running.interrupt();
    dev.running.wait().code(0);
    sandbox.wait_until_nothing_is_left();
}
