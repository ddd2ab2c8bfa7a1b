//! A request that is sent again after a restart of the agent runs at most once.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ppio::{AgentRuntimeApp, RuntimeConfig, Value, json};
use ppio_test_support::{AgentLauncher, AgentProcess};

use super::journal_kills::call;

/// The agent of these tests: it records each call in a file, and does not return if `wait` is
/// `true` in the request.
#[test]
#[ignore = "a program that other tests start"]
fn agent_program() {
    let Some(marks) = std::env::var_os("TEST_MARKS") else {
        return;
    };
    let app = AgentRuntimeApp::builder()
        .config(RuntimeConfig::new().worker_threads(2))
        .entrypoint(move |request: Value| {
            let mut file = OpenOptions::new().create(true).append(true).open(&marks);
            let file = file.as_mut().expect("a file");
            writeln!(file, "{request}").expect("a mark");
            async move {
                if request["wait"] == true {
                    std::future::pending::<()>().await;
                }
                request
            }
        })
        .build();
    app.expect("a valid configuration").run().expect("an agent");
}

fn program(marks: &Path, journal: Option<&Path>) -> AgentLauncher {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "runs::restarts::agent_program"]);
    command.args(["--ignored", "--nocapture"]);
    let launcher = AgentProcess::command(command).env("TEST_MARKS", marks);
    match journal {
        Some(journal) => launcher.env("PPIO_AGENT_JOURNAL", journal),
        None => launcher.env_remove("PPIO_AGENT_JOURNAL"),
    }
}

fn marks(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap_or_default()
}

/// The value of a header.
fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.to_owned())
}

fn instance(address: SocketAddr) -> String {
    let (head, _) = call(address, "GET", "/ping", "", "");
    assert!(header(&head, "ppio-idempotency").is_some(), "{head}");
    header(&head, "ppio-instance").expect("an instance")
}

/// Sends a request with a key, as a first attempt or as a retry; returns the status line with the
/// headers, and the JSON body of the answer.
fn invoke(address: SocketAddr, key: &str, retry: Option<&str>, body: &Value) -> (String, Value) {
    let retry = retry.map_or_else(String::new, |id| format!("ppio-instance: {id}\r\n"));
    let headers = format!("idempotency-key: {key}\r\n{retry}");
    let (head, answer) = call(address, "POST", "/invocations", &headers, &body.to_string());
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    (head, answer)
}

/// Starts an agent, kills it while it runs the request with the key `broken`, and starts a second
/// agent. Returns the instance id of the first agent, and the second agent.
fn restarted(marks_path: &Path, journal: Option<&Path>) -> (String, AgentProcess) {
    let agent = program(marks_path, journal).start();
    let address = agent.addr();
    let first = instance(address);
    assert_eq!(instance(address), first);
    let (head, answer) = invoke(address, "done", None, &json!("done"));
    assert_eq!(answer["result"], "done");
    assert_eq!(header(&head, "ppio-instance").as_ref(), Some(&first));
    // The first retry reaches the agent whose id it has, and runs; the second retry joins that run.
    for _ in 0..2 {
        let (_, answer) = invoke(address, "lost", Some(&first), &json!("lost"));
        assert_eq!(answer["result"], "lost");
    }
    let waiting = json!({"wait": true});
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let text = waiting.to_string();
            let length = text.len();
            let mut stream = std::net::TcpStream::connect(address).expect("a connection");
            let request = format!(
                "POST /invocations HTTP/1.0\r\nhost: localhost\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\
                 idempotency-key: broken\r\n\r\n{text}"
            );
            stream.write_all(request.as_bytes()).expect("a request");
            let read = std::io::read_to_string(stream);
            assert!(read.is_err() || read.is_ok_and(|text| text.is_empty()));
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while marks(marks_path).last() != Some(&waiting) {
            assert!(Instant::now() < deadline, "the agent is not called");
            std::thread::sleep(Duration::from_millis(2));
        }
        // This sends SIGKILL.
        drop(agent);
    });
    (first, program(marks_path, journal).start())
}

#[test]
fn a_restarted_agent_refuses_retries_from_before_its_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let marked = directory.path().join("marks");
    let (first, agent) = restarted(&marked, None);
    let address = agent.addr();
    let second = instance(address);
    assert_ne!(second, first);
    let before = marks(&marked);
    assert_eq!(before.len(), 3);
    let waiting = json!({"wait": true});
    for (key, id, body, expected) in [
        ("broken", first.as_str(), &waiting, "has restarted"),
        ("done", &first, &json!("done"), "has restarted"),
        ("done", "unknown", &json!("done"), "may have restarted"),
    ] {
        let (head, answer) = invoke(address, key, Some(id), body);
        assert!(head.starts_with("HTTP/1.0 409"), "{head}");
        assert_eq!(answer["error_type"], "AgentRestarted");
        let text = answer["error"].as_str().unwrap_or_default();
        assert!(text.contains(expected), "{text}");
        // The answer has the instance id of the agent that now runs.
        assert_eq!(header(&head, "ppio-instance").as_ref(), Some(&second));
        assert_eq!(
            header(&head, "ppio-idempotency").as_deref(),
            Some("supported")
        );
    }
    assert_eq!(marks(&marked), before, "nothing ran twice");
    // A first attempt is never refused, not even with a key that an earlier agent received. Retries
    // join the run that the first attempt started, whichever instance they name.
    for (retry, says) in [
        (None, "supported"),
        (Some("unknown"), "replayed"),
        (Some(&*first), "replayed"),
        (Some(&*second), "replayed"),
    ] {
        let (head, answer) = invoke(address, "done", retry, &json!("done"));
        assert_eq!(answer["result"], "done", "{head}");
        assert_eq!(header(&head, "ppio-idempotency").as_deref(), Some(says));
    }
    assert_eq!(marks(&marked).len(), 4);
}

#[test]
fn a_journal_keeps_the_instance_id_and_the_idempotency_keys() {
    let directory = tempfile::tempdir().expect("a directory");
    let marked = directory.path().join("marks");
    let journal = directory.path().join("journal");
    let (first, agent) = restarted(&marked, Some(&journal));
    let address = agent.addr();
    assert_eq!(instance(address), first);
    let before = marks(&marked);
    let (head, answer) = invoke(address, "broken", Some(&first), &json!({"wait": true}));
    assert!(head.starts_with("HTTP/1.0 500"), "{head}");
    assert_eq!(answer["error_type"], "AgentStopped");
    let (_, answer) = invoke(address, "done", Some(&first), &json!("done"));
    assert_eq!(answer["result"], "done");
    assert_eq!(marks(&marked), before, "nothing ran twice");
    // A retry whose first attempt did not arrive runs now.
    let (_, answer) = invoke(address, "new", Some(&first), &json!("new"));
    assert_eq!(answer["result"], "new");

    // An agent with a copy of the directory is the same instance; an agent with another directory
    // is not.
    let copied = directory.path().join("copy");
    std::fs::create_dir(&copied).expect("a directory");
    for file in std::fs::read_dir(&journal).expect("a directory") {
        let file = file.expect("a file");
        std::fs::copy(file.path(), copied.join(file.file_name())).expect("a copy");
    }
    let copy = program(&marked, Some(&copied)).start();
    assert_eq!(instance(copy.addr()), first);
    let (_, answer) = invoke(copy.addr(), "new", Some(&first), &json!("new"));
    assert_eq!(answer["result"], "new");
    let other = program(&marked, Some(&directory.path().join("other"))).start();
    assert_ne!(instance(other.addr()), first);
}
