//! `agent deploy` with JSON output: events are printed when they happen, and the last line is the
//! result.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::scaffold::{command, project, python_project};
use crate::support::{Sandbox, eventually};

/// Returns the names of the events, without consecutive repetitions.
fn names(events: &[Value]) -> Vec<&str> {
    let names = events.iter().map(|event| event["event"].as_str());
    let mut names: Vec<_> = names.map(|name| name.expect("a name")).collect();
    names.dedup();
    names
}

/// Asserts that the help documents each event.
#[track_caller]
fn documented(sandbox: &Sandbox, events: &[Value]) {
    let help = sandbox.run(["agent", "deploy", "--help"]).code(0).stdout;
    for name in names(events) {
        let shown = format!("{{\"event\": \"{name}\"");
        assert!(help.contains(&shown), "no {name} in {help}");
    }
}

/// Returns a Python project whose build runs this code when Python starts.
fn slow_project(sandbox: &Sandbox, start: &str) -> PathBuf {
    let folder = python_project(sandbox, "my-python");
    fs::remove_file(folder.join("requirements.txt")).expect("there");
    fs::write(folder.join("agent.py"), "pass\n").expect("written");
    fs::create_dir_all(folder.join("site")).expect("made");
    fs::write(folder.join("site/sitecustomize.py"), start).expect("written");
    folder
}

#[test]
fn log_lines_are_printed_while_their_step_runs() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    // The step connects to this listener, and waits for a byte from the test.
    let gate = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = gate.local_addr().expect("bound");
    let start = format!(
        "import socket\nprint('first half', flush=True)\nsocket.create_connection(('127.0.0.1', \
         {})).recv(1)\nprint('second half', flush=True)\n",
        address.port()
    );
    let folder = slow_project(&sandbox, &start);
    let arguments = ["agent", "deploy", "--json", "--env", "PYTHONPATH=/app/site"];
    let mut deploying = command(&sandbox, &folder, &arguments).spawn();
    eventually("the first half is printed", || {
        deploying.stdout().contains("\"message\":\"first half\"") || deploying.has_ended()
    });
    // The output so far consists of complete lines of JSON, without a result.
    let so_far = deploying.stdout();
    let so_far: Vec<Value> = so_far
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let line = so_far
        .iter()
        .find(|event| event["message"] == "first half")
        .expect("the line");
    assert_eq!(line["event"], "log");
    assert_eq!((&line["step"], &line["level"]), (&json!(4), &json!("info")));
    let time = line["timestamp"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert!(!deploying.has_ended());
    assert!(!deploying.stdout().contains("second half"));

    let (mut step, _) = gate.accept().expect("the step waits");
    step.write_all(b"x").expect("sent");
    let done = deploying.wait().code(0);
    assert_eq!(done.stderr, "");
    let events = done.json_lines();
    assert_eq!(
        names(&events),
        [
            "deploying",
            "uploading",
            "uploaded",
            "building",
            "step",
            "log",
            "step",
            "log",
            "step",
            "log",
            "step",
            "log",
            "deployed",
        ]
    );
    documented(&sandbox, &events);
    let template = sandbox.template("my-python");
    let first = &events[0];
    assert_eq!(first["name"], "my-python");
    assert_eq!(first["template_id"], template.as_str());
    let building = events.iter().find(|event| event["event"] == "building");
    let steps = building.expect("an event")["steps"].as_array();
    let steps = steps.expect("steps");
    assert_eq!(steps.len(), 4);
    let found: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "step")
        .map(|event| event["command"].clone())
        .collect();
    assert_eq!(&found, steps);
    let last = events.last().expect("a last line");
    assert_eq!(last["template_id"], template.as_str());
    assert_eq!(last["build_id"], first["build_id"]);

    // With --quiet, only the result is printed.
    let quiet = command(&sandbox, &folder, &["agent", "deploy", "-q", "--json"]);
    let done = quiet.run().code(0);
    assert_eq!(done.json()["template_id"], template.as_str());
    assert_eq!(done.stderr, "");
}

#[test]
fn a_failed_build_reports_its_step_and_its_last_lines() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = slow_project(&sandbox, "");
    fs::write(folder.join("agent.py"), "def agent(:\n").expect("written");
    let done = command(&sandbox, &folder, &["agent", "deploy", "--json"])
        .run()
        .code(1);
    let failure = done.failure();
    assert_eq!(failure["exit_code"], 1);
    let step = &failure["step"];
    assert_eq!((&step["step"], &step["of"]), (&json!(3), &json!(3)));
    let run = step["command"].as_str().expect("a command");
    assert!(run.starts_with("RUN python -c "), "{run}");
    let log = failure["log"].as_array().expect("the last lines");
    let line = log.iter().find(|line| {
        let message = line["message"].as_str();
        message.is_some_and(|message| message.contains("SyntaxError"))
    });
    assert_eq!(line.expect("the reason")["step"], 3);
    // The last event has the document that is printed to standard error.
    let mut last = done.json_lines().pop().expect("a last line");
    let event = last.as_object_mut().and_then(|last| last.remove("event"));
    assert_eq!(event, Some(json!("failed")));
    assert_eq!(last, failure);

    let quiet = command(&sandbox, &folder, &["agent", "deploy", "-q", "--json"]);
    let done = quiet.run().code(1);
    assert_eq!(done.stdout, "");
    assert_eq!(done.failure()["step"]["step"], 3);
}

#[test]
fn compiler_messages_are_events_and_standard_error_is_one_document() {
    let sandbox = Sandbox::new();
    let folder = project(&sandbox, "my-told", "hello");
    let main = folder.join("src/main.rs");
    let good = fs::read_to_string(&main).expect("a file");
    fs::write(&main, good.replace("Value {", "Valu {")).expect("written");
    let arguments = ["agent", "deploy", "--json", "--target", "host"];
    let deploy = || command(&sandbox, &folder, &arguments);
    let done = deploy().run().code(1);
    let events = done.json_lines();
    assert_eq!(names(&events), ["compiling", "compiler", "failed"]);
    documented(&sandbox, &events);
    let error = events
        .iter()
        .find(|event| event["level"] == "error")
        .expect("the error");
    let shown = error["message"].as_str().expect("a text");
    assert!(
        shown.contains("error[E0425]") && shown.contains("--> src/main.rs:7:35"),
        "{shown}"
    );
    let failure = done.failure();
    assert_eq!(failure["error"], "my-told does not compile");
    assert!(
        failure["causes"][0]
            .as_str()
            .is_some_and(|cause| cause.contains("E0425")),
        "{failure}"
    );

    // Errors of cargo itself are reported as well.
    fs::write(&main, good).expect("written");
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a file");
    let broken = format!("{text}\n[features]\nx = [\"missing/x\"]\n");
    fs::write(&manifest, broken).expect("written");
    let failure = deploy().run().code(1).failure();
    let causes = failure["causes"].to_string();
    assert!(causes.contains("missing"), "{failure}");

    fs::write(&manifest, text).expect("written");
    let done = deploy().run().code(0);
    assert_eq!(done.stderr, "");
    let events = done.json_lines();
    assert_eq!(names(&events)[..3], ["compiling", "compiled", "deploying"]);
    assert_eq!(events[0]["target"], "host");
    assert!(events[1]["duration"].is_f64());
    assert_eq!(names(&events).last(), Some(&"deployed"));
}
