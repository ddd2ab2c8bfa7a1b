//! `agent invoke --detach`, `agent runs | attach | cancel`.

use ppio_sandbox_local::TemplateSpec;
use serde_json::{Value, json};

use crate::support::{Sandbox, agent, config, eventually, on_runtime, python_agent, scripted};

/// Starts a run of the scripted agent, and returns the ids of the run and of its session.
fn detach(sandbox: &Sandbox, request: &Value) -> (String, String) {
    let started = sandbox
        .command(["agent", "invoke", "--template-id", "agent", "--detach"])
        .arg("--json")
        .arg(request.to_string())
        .args(["-o", "json"])
        .run()
        .code(0)
        .json();
    assert_eq!(started["status"], "running");
    let id = |name: &str| started[name].as_str().expect("an id").to_owned();
    (id("run_id"), id("session_id"))
}

/// Returns the runs in JSON output.
fn runs(sandbox: &Sandbox) -> Vec<Value> {
    let command = ["agent", "runs", "--template-id", "agent", "--json"];
    let runs = sandbox.run(command).code(0).json();
    runs.as_array().expect("a list").clone()
}

#[test]
fn a_run_continues_without_its_caller_and_is_read_again() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let request = json!({"items": ["one ", "two ", {"x": 3}, "four"], "pause_ms": 50});
    let (run, session) = detach(&sandbox, &request);
    assert_eq!(
        sandbox.sandboxes(),
        [session.as_str()],
        "the session stays open"
    );

    // The run is read from its start, while it runs and after its end; its session is found by the
    // id of the run.
    let attach = ["agent", "attach", &run, "--template-id", "agent"];
    for _ in 0..2 {
        let done = sandbox.run(attach).code(0);
        assert_eq!(done.stdout, "one two \n{\"x\":3}\nfour\n");
        done.says("4 items in ").says(&run);
    }
    let done = sandbox
        .run(["agent", "attach", &run, "--session", &session, "--json"])
        .code(0);
    let lines = done.json_lines();
    assert_eq!(lines[0], json!({"id": 1, "item": "one "}));
    assert_eq!(lines[3], json!({"id": 4, "item": "four"}));
    let end = &lines[4]["end"];
    assert_eq!((&end["items"], &end["kept"]), (&json!(4), &json!(true)));
    assert_eq!(
        (&end["request_id"], &end["session_id"]),
        (&json!(run), &json!(session))
    );
    let rest = sandbox
        .command(attach)
        .args(["--last-event-id", "2", "--quiet"])
        .run()
        .code(0);
    assert_eq!(
        (rest.stdout.as_str(), rest.stderr.as_str()),
        ("{\"x\":3}\nfour\n", "")
    );
    let beyond = sandbox.command(attach).args(["--last-event-id", "9"]);
    beyond.run().code(1).says("cannot read run");

    let listed = runs(&sandbox);
    assert_eq!(listed.len(), 1);
    let row = &listed[0];
    assert_eq!(
        (&row["run_id"], &row["session_id"]),
        (&json!(run), &json!(session))
    );
    assert_eq!(
        (&row["status"], &row["items"]),
        (&json!("success"), &json!(4))
    );
    assert!(
        row["started_at"].is_string() && row["ended_at"].is_string(),
        "{row}"
    );
    let text = sandbox
        .run(["agent", "runs", "--session", &session])
        .code(0)
        .stdout;
    assert!(text.starts_with("RUN "), "{text}");
    assert!(text.contains(&run) && text.contains(" success "), "{text}");
}

#[test]
fn the_id_of_a_detached_run_is_the_whole_output() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let started = sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            "agent",
            "--detach",
            "--input",
            "a b",
        ])
        .code(0);
    let run = started.stdout.trim_end().to_owned();
    assert_eq!(started.stdout, format!("{run}\n"));
    let session = sandbox.sandboxes().pop().expect("a session");
    let started = started
        .says(&format!("agent attach {run} --session {session}"))
        .says(&format!("session {session} stays open"));
    assert_eq!(started.stderr.lines().count(), 2, "{started:?}");

    // A paused session is resumed if the command names it, and is not searched otherwise.
    on_runtime(async {
        let found = sandbox
            .client()
            .get_session(&session)
            .await
            .expect("an answer");
        found.expect("a session").pause().await.expect("paused");
    });
    let elsewhere = sandbox.run(["agent", "attach", &run, "--template-id", "agent"]);
    elsewhere
        .code(3)
        .says("no running session of agent has run");
    let done = sandbox
        .run(["agent", "attach", &run, "--session", &session])
        .code(0);
    assert_eq!(done.stdout, "a b\n");
    done.says("the session is paused, resuming it");

    // A run can also be started in an existing session.
    let again = [
        "agent",
        "invoke",
        "--session",
        &session,
        "--detach",
        "--input",
        "c",
    ];
    let second = sandbox.run(again).code(0).stdout;
    assert_eq!(runs(&sandbox).len(), 2);
    assert_eq!(runs(&sandbox)[0]["run_id"], json!(second.trim_end()));
}

#[test]
fn a_run_is_cancelled_and_its_reader_ends() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let (run, session) = detach(&sandbox, &json!({"items": ["first "], "end": "hang"}));
    let attach = ["agent", "attach", &run, "--template-id", "agent"];

    // Ctrl-C ends the output and not the run.
    let reading = sandbox.command(attach).spawn();
    eventually("the first item is printed", || reading.stdout() == "first ");
    reading.interrupt();
    reading.wait().code(130).says("the run continues");
    assert_eq!(runs(&sandbox)[0]["status"], "running");

    let reading = sandbox.command(attach).spawn();
    eventually("the first item is printed", || reading.stdout() == "first ");
    let cancel = ["agent", "cancel", &run, "--template-id", "agent"];
    let done = sandbox.run(cancel).code(0);
    assert_eq!(done.stdout, format!("cancelled {run}\n"));
    let ended = reading.wait().code(1);
    assert_eq!(ended.stdout, "first \n");
    ended.says("cannot read run").says("cancelled");
    let document = sandbox.command(cancel).arg("--json").run().code(0).json();
    let expected = json!({"run_id": run, "session_id": session, "status": "cancelled"});
    assert_eq!(document, expected, "a second cancellation changes nothing");

    let (other, _) = detach(&sandbox, &json!({"items": ["x"]}));
    sandbox
        .run(["agent", "attach", &other, "--template-id", "agent"])
        .code(0);
    let done = sandbox
        .run(["agent", "cancel", &other, "--template-id", "agent"])
        .code(0);
    assert_eq!(done.stdout, format!("{other} had already ended: success\n"));
}

#[test]
fn a_run_that_fails_or_does_not_exist_is_an_error() {
    let failing = ppio_test_support::test_program("failing-agent");
    let sandbox = Sandbox::with([scripted("agent"), agent("failing", &failing)]);
    let none = sandbox
        .run(["agent", "runs", "--template-id", "agent"])
        .code(0);
    assert_eq!(none.stdout, "");
    none.says("no runs").says("--detach");
    for command in ["attach", "cancel"] {
        let done = sandbox.run(["agent", command, "missing", "--template-id", "agent"]);
        done.code(3)
            .says("no running session of agent has run missing")
            .says("agent runs");
        sandbox
            .run(["agent", command, "--template-id", "agent"])
            .code(2)
            .says("<ID>");
    }

    let started = sandbox
        .command([
            "agent",
            "invoke",
            "--template-id",
            "failing",
            "--detach",
            "-o",
            "json",
        ])
        .args(["--json", "{\"fail\": \"no more tea\"}"])
        .run()
        .code(0)
        .json();
    let run = started["run_id"].as_str().expect("an id");
    let session = started["session_id"].as_str().expect("an id");
    let done = sandbox.run(["agent", "attach", run, "--session", session]);
    done.code(1).says("no more tea").says("session id: ");
    let done = sandbox.run(["agent", "attach", "other", "--session", session]);
    done.code(1).says("cannot read run other").says("404");
}

/// The credential of an agent that checks its callers is sent with every call about a run.
#[test]
fn headers_are_sent_to_the_agent() {
    const SECRET: &str = "sesame";
    const HEADER: [&str; 2] = ["-H", "Authorization: Bearer sesame"];
    let refusing = ppio_test_support::test_program("refusing-agent");
    let sandbox = Sandbox::with([agent("agent", &refusing)]);
    let with = |command: &[&str], headers: &[&str]| {
        let command = sandbox.command(["agent"]).args(command);
        let command = command.args(["--template-id", "agent"]).args(headers);
        let done = command.run();
        assert!(!done.stderr.contains(SECRET), "{}", done.stderr);
        done
    };
    let start = ["invoke", "--detach", "--json", r#"{"items": 7}"#];
    let started = with(&start, &HEADER).code(0);
    let run = started.stdout.trim_end().to_owned();
    started.says(" -H …`");

    let attach = ["attach", &run];
    let cancel = ["cancel", &run];
    let now = ["invoke", "--json", r#"{"items": 8}"#];
    for command in [&["runs"][..], &attach, &cancel, &now] {
        with(command, &[])
            .code(3)
            .says("authentication failed")
            .says("-H 'authorization: …'");
    }
    let listed = with(&["runs", "-o", "json"], &["--header", HEADER[1]])
        .code(0)
        .json();
    assert_eq!(listed[0]["run_id"], json!(run));
    let done = with(&attach, &HEADER).code(0);
    assert_eq!(done.stdout, "{\"items\":7}\n");
    let done = with(&cancel, &HEADER).code(0);
    assert_eq!(done.stdout, format!("{run} had already ended: success\n"));
    let done = with(&now, &HEADER).code(0);
    assert_eq!(done.stdout, "{\n  \"items\": 8\n}\n");

    // A malformed header is an error before anything is sent.
    let before = sandbox.sandboxes().len();
    for command in [&start[..], &["runs"], &attach, &cancel] {
        with(command, &["-H", "authorization Bearer sesame"])
            .code(2)
            .says("header 1 of the command line has no colon")
            .says("-H '");
    }
    assert_eq!(sandbox.sandboxes().len(), before);
}

#[test]
fn an_agent_that_keeps_no_runs_is_not_invoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let code = python_agent(&[], "request");
    std::fs::write(folder.path().join("agent.py"), code).expect("a file");
    let mut python = config("agent");
    python.spec.entrypoint = Some("agent.py".parse().expect("a file"));
    let template = TemplateSpec::new("agent").directory(folder.path());
    let sandbox = Sandbox::with([template.config(python)]);
    let done = sandbox.run([
        "agent",
        "invoke",
        "--template-id",
        "agent",
        "--detach",
        "--input",
        "x",
    ]);
    done.code(3).says("keeps no runs");
    assert!(sandbox.sandboxes().is_empty());
}
