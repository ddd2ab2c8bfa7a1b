//! `agent logs`.

use std::io::Read as _;

use ppio_sandbox_local::TemplateSpec;
use rustix::process::Signal;

use crate::support::{Sandbox, agent, config, eventually, on_runtime, scripted, send};

/// Calls the agent for a number of items in a session that stays open.
fn ask(sandbox: &Sandbox, session: Option<&str>, items: usize) -> String {
    let request = serde_json::json!({ "items": vec!["x"; items] }).to_string();
    let mut command = sandbox.command(["agent", "invoke", "--output", "json", "--json", &request]);
    command = match session {
        Some(id) => command.args(["--session", id]),
        None => command.args(["--template-id", "agent", "--keep"]),
    };
    let lines = command.run().code(0).json_lines();
    let end = &lines.last().expect("an end")["end"];
    end["session_id"].as_str().expect("an id").to_owned()
}

#[test]
fn the_newest_or_the_given_session_is_shown() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let project = sandbox.project("agent", &sandbox.template("agent"));
    let none = sandbox
        .command(["agent", "logs"])
        .in_folder(&project)
        .run()
        .code(3);
    none.says("agent has no open session").says("--keep");

    let old = ask(&sandbox, None, 3);
    let new = ask(&sandbox, None, 5);
    let done = sandbox
        .command(["agent", "logs"])
        .in_folder(&project)
        .run()
        .code(0);
    assert!(done.stdout.contains("asked for 5 items\n"), "{done:?}");
    assert!(!done.stdout.contains("asked for 3 items"), "{done:?}");
    done.says("2 sessions are open; showing the newest")
        .says(&new);

    let done = sandbox
        .run(["agent", "logs", "--session", &old, "--json"])
        .code(0);
    let lines = done.json_lines();
    let line = lines
        .iter()
        .find(|line| line["message"] == "asked for 3 items");
    let line = line.expect("the agent's line");
    assert!(line["timestamp"].is_string() && line["fields"]["stream"] == "stderr");
    assert_eq!(done.stderr, "");
    // The session stays open.
    assert_eq!(sandbox.sandboxes().len(), 2);

    sandbox
        .run(["agent", "logs", "--session", "missing"])
        .code(3)
        .says("\"missing\" not found");
}

#[test]
fn following_goes_on_until_the_session_ends() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let id = ask(&sandbox, None, 1);
    let following = sandbox
        .command(["agent", "logs", "--follow", "--session", &id])
        .spawn();
    eventually("what was there is shown", || {
        following.stdout().contains("asked for 1 items")
    });
    for items in 2..5 {
        ask(&sandbox, Some(&id), items);
        let line = format!("asked for {items} items");
        eventually("what comes is shown", || following.stdout().contains(&line));
    }
    sandbox.run(["agent", "stop", "--session", &id]).code(0);
    let done = following.wait().code(0);
    // Each line once.
    assert_eq!(done.stdout.matches("asked for").count(), 4, "{done:?}");
    done.says("the session has ended");
}

#[test]
fn following_ends_with_ctrl_c_and_with_the_platform() {
    let mut sandbox = Sandbox::with([scripted("agent")]);
    let id = ask(&sandbox, None, 1);
    let follow = ["agent", "logs", "-f", "--session", &id];
    let following = sandbox.command(follow).spawn();
    eventually("it follows", || following.stdout().contains("asked"));
    following.interrupt();
    following.wait().code(130);
    assert_eq!(sandbox.sandboxes(), [id.as_str()]);

    let following = sandbox.command(follow).spawn();
    eventually("it follows", || following.stdout().contains("asked"));
    send(sandbox.running().expect("it runs").pid(), Signal::KILL);
    following
        .wait()
        .code(3)
        .says("the local platform was stopped");
    sandbox.up();
}

#[test]
fn following_reconnects_to_the_platform() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let id = ask(&sandbox, None, 1);
    let relay = crate::support::Relay::to(sandbox.running().expect("it runs").url());
    let following = sandbox
        .command(["agent", "logs", "-f", "--session", &id])
        .env("PPIO_API_KEY", sandbox.key())
        .env("PPIO_API_URL", relay.url())
        .spawn();
    eventually("it follows", || following.stdout().contains("asked for 1"));
    relay.close();
    eventually("it notices", || {
        following.stderr().contains("connection lost")
    });
    ask(&sandbox, Some(&id), 2);
    relay.open();
    eventually("what came meanwhile is shown", || {
        following.stdout().contains("asked for 2")
    });
    following.interrupt();
    let done = following.wait().code(130);
    assert_eq!(done.stdout.matches("asked for 1").count(), 1);
    done.says("reconnected");
}

#[test]
fn a_long_log_is_complete_and_output_may_be_closed_early() {
    let writes = TemplateSpec::new("writer")
        .start_command("seq 1 2500; exec sleep 86400")
        .config(config("writer"));
    let sandbox = Sandbox::with([writes]);
    let id = on_runtime(async {
        let new = ppio_agent_client::platform::NewSandbox::new(
            "writer",
            std::time::Duration::from_secs(600),
        );
        let made = sandbox
            .client()
            .platform()
            .create_sandbox(&new)
            .await
            .expect("made");
        made.sandbox_id
    });
    eventually("all is written", || {
        let done = sandbox.run(["agent", "logs", "--session", &id]).code(0);
        done.stdout
            .lines()
            .eq((1..=2500).map(|number| number.to_string()))
    });

    let (mut following, mut stdout) = sandbox
        .command(["agent", "logs", "--follow", "--session", &id])
        .spawn_unread();
    let mut start = [0; 2];
    stdout.read_exact(&mut start).expect("a start");
    assert_eq!(&start, b"1\n");
    drop(stdout);
    // A closed pipe is noticed only by a write that exceeds its buffer.
    on_runtime(async {
        let session = sandbox
            .client()
            .get_session(&id)
            .await
            .expect("asked")
            .expect("there");
        let line = "for i in $(seq 1 20); do head -c 8000 /dev/zero | tr '\\0' x; echo; done; exec sleep 86400";
        let command = ppio_agent_client::platform::Command::shell(line);
        session.envd().start(&command).await.expect("started");
        session.detach();
    });
    eventually("it ends", || following.status().is_some());
    assert!(following.status().expect("it has ended").success());
}

#[test]
fn a_request_is_found_by_its_id() {
    let says_all = |name: &str, example: &str| {
        let binary = ppio_test_support::example_binary(example);
        agent(name, &binary).variable("PPIO_AGENT_LOG", "debug")
    };
    let sandbox = Sandbox::with([says_all("value", "hello"), says_all("stream", "stream")]);
    for name in ["value", "stream"] {
        let invoke = [
            "agent",
            "invoke",
            "--template-id",
            name,
            "--input",
            "Ada",
            "--keep",
        ];
        let done = sandbox.command(invoke).arg("--json").run().code(0);
        let last = done.json_lines().pop().expect("an answer");
        let outcome = last.get("end").unwrap_or(&last);
        let session = outcome["session_id"].as_str().expect("a session");
        let logs = |arguments: &[&str]| {
            let all = ["agent", "logs", "--session", session];
            sandbox.command(all).args(arguments).run().code(0).stdout
        };
        let finished = |id: &str| {
            let log = logs(&[]);
            let mut lines = log.lines();
            lines.any(|line| line.contains("invocation finished") && line.contains(id))
        };
        let id = outcome["request_id"].as_str().expect("an id");
        assert_eq!(id.len(), 36, "{id}");
        eventually("the line is there", || finished(id));

        // By the id in text output as well.
        let again = ["agent", "invoke", "--session", session, "--input", "Ada"];
        let done = sandbox.run(again).code(0);
        let (_, id) = done.stderr.trim().rsplit_once("request ").expect("an id");
        eventually("the line is there", || finished(id));

        // Text output formats the line, JSON output has it unchanged.
        assert!(logs(&[]).contains("INFO invocation finished duration_ms="));
        let json = logs(&["--json"]);
        let message = json.lines().find(|line| line.contains(id)).expect("a line");
        let message: serde_json::Value = serde_json::from_str(message).expect("JSON");
        let message = message["message"].as_str().expect("a text");
        assert!(message.starts_with('{'), "{message}");
    }
}
