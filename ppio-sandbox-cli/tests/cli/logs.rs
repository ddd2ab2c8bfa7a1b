//! `agent logs`.

use std::io::Read as _;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    Relay, Running, Sandbox, agent, eventually, on_runtime, sandbox_of, scripted, send,
};

/// Requests a number of items from the agent, in a session that stays open. Returns the id of the
/// session.
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

/// Starts `agent logs --follow` through a relay, which can cut the connection.
fn follow_through_relay(sandbox: &Sandbox, session: &str) -> (Running, Relay) {
    let relay = Relay::to(sandbox.running().expect("a platform").url());
    let following = sandbox
        .command(["agent", "logs", "-f", "--session", session])
        .env("PPIO_API_KEY", sandbox.key())
        .env("PPIO_API_URL", relay.url())
        .spawn();
    (following, relay)
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
    assert!(line["time"].is_string() && line["fields"]["stream"] == "stderr");
    assert_eq!(
        (&line["sandbox"], &line["level"]),
        (&old.as_str().into(), &"error".into())
    );
    assert_eq!(done.stderr, "");
    // The session stays open.
    assert_eq!(sandbox.sandboxes().len(), 2);

    sandbox
        .run(["agent", "logs", "--session", "missing"])
        .code(3)
        .says("\"missing\" not found");
}

#[test]
fn following_continues_until_the_session_ends() {
    let sandbox = Sandbox::with([scripted("agent")]);
    let id = ask(&sandbox, None, 1);
    let following = sandbox
        .command(["agent", "logs", "--follow", "--session", &id])
        .spawn();
    eventually("the existing line is shown", || {
        following.stdout().contains("asked for 1 items")
    });
    for items in 2..5 {
        ask(&sandbox, Some(&id), items);
        let line = format!("asked for {items} items");
        eventually("the new line is shown", || {
            following.stdout().contains(&line)
        });
    }
    sandbox.run(["agent", "stop", "--session", &id]).code(0);
    let done = following.wait().code(0);
    // Each line is printed once.
    assert_eq!(done.stdout.matches("asked for").count(), 4, "{done:?}");
    done.says("the session has ended");
}

#[test]
fn following_ends_with_ctrl_c_and_with_the_platform() {
    let mut sandbox = Sandbox::with([scripted("agent")]);
    let id = ask(&sandbox, None, 1);
    let follow = ["agent", "logs", "-f", "--session", &id];
    let following = sandbox.command(follow).spawn();
    eventually("the log is printed", || {
        following.stdout().contains("asked")
    });
    following.interrupt();
    following.wait().code(130);
    assert_eq!(sandbox.sandboxes(), [id.as_str()]);

    let following = sandbox.command(follow).spawn();
    eventually("the log is printed", || {
        following.stdout().contains("asked")
    });
    send(sandbox.running().expect("a platform").pid(), Signal::KILL);
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
    let (following, relay) = follow_through_relay(&sandbox, &id);
    eventually("the log is printed", || {
        following.stdout().contains("asked for 1")
    });
    relay.close();
    eventually("the lost connection is reported", || {
        following.stderr().contains("connection lost")
    });
    ask(&sandbox, Some(&id), 2);
    relay.open();
    eventually("the missed line is shown", || {
        following.stdout().contains("asked for 2")
    });
    following.interrupt();
    let done = following.wait().code(130);
    assert_eq!(done.stdout.matches("asked for 1").count(), 1);
    done.says("reconnected");
}

#[test]
fn a_long_log_is_complete_and_output_may_be_closed_early() {
    let (sandbox, id) = sandbox_of("writer", "seq 1 2500; exec sleep 86400");
    eventually("all lines are written", || {
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
    // The command detects the closed pipe only when it writes again.
    on_runtime(async {
        let session = sandbox
            .client()
            .get_session(&id)
            .await
            .expect("an answer")
            .expect("a session");
        let line = "for i in $(seq 1 20); do head -c 8000 /dev/zero | tr '\\0' x; echo; done; exec sleep 86400";
        let command = ppio_agent_client::platform::Command::shell(line);
        session.envd().start(&command).await.expect("started");
        session.detach();
    });
    eventually("the command ends", || following.status().is_some());
    assert!(following.status().expect("an exit status").success());
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

        // The id in text output can be used as well.
        let again = ["agent", "invoke", "--session", session, "--input", "Ada"];
        let done = sandbox.run(again).code(0);
        let (_, id) = done.stderr.trim().rsplit_once("request ").expect("an id");
        eventually("the line is there", || finished(id));

        // Text output formats the line, JSON output has its members.
        assert!(logs(&[]).contains("INFO invocation finished duration_ms="));
        let json = logs(&["--json", "--run", id]);
        let lines = json.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["request_id"], id, "{line}");
            line["message"].as_str().expect("a text").to_owned()
        });
        let lines: Vec<_> = lines.collect();
        assert!(
            lines.contains(&"invocation finished".to_owned()),
            "{lines:?}"
        );
        assert!(!lines.iter().any(|line| line.starts_with('{')), "{lines:?}");
        // The previous call belongs to another run.
        let of = |id: &str| logs(&["--run", id, "--grep", "invocation finished"]);
        assert_eq!(of(id).lines().count(), 1);
        assert_eq!(
            of(outcome["request_id"].as_str().expect("an id"))
                .lines()
                .count(),
            1
        );
        assert_eq!(of("missing"), "");
    }
}

/// Lines of a log with pauses between them, so that their times are different.
const LINES: &str = r#"
line() { printf '%s\n' "$1"; sleep 0.02; }
line plain
line broken >&2
line '{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","message":"first","target":"my","request_id":"r-1","trace_id":"t-1"}' >&2
line '{"timestamp":"2026-01-01T00:00:00Z","level":"WARN","message":"second","error":"no \"key\"","status":503,"request_id":"r-2"}' >&2
line '{"timestamp":"2026-01-01T00:00:00Z","level":"ERROR","message":"third","request_id":"r-1"}'
line '{"level":"debug","count":4}'
line last
exec sleep 86400
"#;

#[test]
fn options_select_lines() {
    let (sandbox, id) = sandbox_of("writer", LINES);
    let logs = |options: &[&str]| {
        let all = sandbox.command(["agent", "logs", "--session", &id]);
        all.args(options).run()
    };
    let mut all = Vec::new();
    eventually("all lines are written", || {
        all = logs(&["--json"]).code(0).json_lines();
        all.iter().any(|line| line["message"] == "last")
    });
    // The platform adds lines of its own.
    let begin = all.iter().position(|line| line["message"] == "plain");
    let all = &all[begin.expect("the first line")..];
    let time = |index: usize| all[index]["time"].as_str().expect("a time");
    let first = json!({
        "time": time(2), "level": "info", "sandbox": id, "fields": all[2]["fields"], "timestamp": "2026-01-01T00:00:00Z",
        "message": "first", "target": "my", "request_id": "r-1", "trace_id": "t-1",
    });
    assert_eq!(all[2], first);
    assert_eq!(all[2]["fields"]["stream"], "stderr");

    let (plain, broken) = ("plain\n", "broken\n");
    let (first, second) = (
        "00:00:00Z  INFO my: first trace_id=\"t-1\" request_id=r-1\n",
        "00:00:00Z  WARN second error=\"no \\\"key\\\"\" status=503 request_id=r-2\n",
    );
    let third = "00:00:00Z ERROR third request_id=r-1\n";
    let (fourth, last) = ("{\"level\":\"debug\",\"count\":4}\n", "last\n");
    let cases: &[(&[&str], &[&str])] = &[
        (&["--since", time(4)], &[third, fourth, last]),
        (&["--since", time(2), "--until", time(3)], &[first, second]),
        (&["--since", "1h", "--until", "59m"], &[]),
        (&["--since", "1h30m", "--level", "error"], &[broken, third]),
        (&["--level", "warn"], &[broken, second, third]),
        (&["--grep", "last"], &[last]),
        (&["--grep", "status=50[0-9]|^plain$"], &[plain, second]),
        (&["--grep", "no \"key\""], &[second]),
        (&["--grep", "(?i)FIRST"], &[first]),
        (&["--run", "r-1"], &[first, third]),
        (&["--run", "r-1", "--level", "error"], &[third]),
        (&["--run", "r-1", "--grep", "t-1"], &[first]),
        (&["--run", "r-3"], &[]),
    ];
    for (options, expected) in cases {
        let done = logs(options).code(0);
        assert_eq!(done.stdout, expected.concat(), "{options:?}");
    }
    let debug = logs(&["--since", time(0), "--level", "debug"]).code(0);
    assert_eq!(debug.stdout.lines().count(), 7, "{debug:?}");
    let info = logs(&["--since", time(0), "--level", "info"]).code(0);
    assert_eq!(info.stdout.lines().count(), 6, "{info:?}");

    for (options, says) in [
        (&["--grep", "a(b"][..], "unclosed group"),
        (&["--since", "yesterday"], "such as 10m or 1h30m"),
        (&["--until", "2026-11-26T12:00:00"], "nor an RFC 3339 time"),
        (&["--level", "loud"], "possible values: trace, debug"),
        (&["--run", ""], "the value is empty"),
        (&["--follow", "--until", "1m"], "cannot be used with"),
        (
            &["--since", "1m", "--until", "1h"],
            "--since is later than --until",
        ),
    ] {
        logs(options).code(2).says(says);
    }
}

#[test]
fn following_selects_lines() {
    let numbers = "i=0; while :; do i=$((i+1)); echo \"number $i\"; sleep 0.002; done";
    let (sandbox, id) = sandbox_of("writer", numbers);
    let follow = [
        "agent",
        "logs",
        "-f",
        "--grep",
        "number [0-9]*5$",
        "--session",
        &id,
    ];
    let following = sandbox.command(follow).spawn();
    eventually("the log is printed", || {
        following.stdout().lines().count() > 20
    });
    following.interrupt();
    let done = following.wait().code(130);
    let expected = (0..).map(|tens| format!("number {}", tens * 10 + 5));
    assert!(
        done.stdout
            .lines()
            .eq(expected.take(done.stdout.lines().count())),
        "{done:?}"
    );
}

/// The connection is cut in the headers of an answer, in its body, and between two answers.
#[test]
fn following_loses_and_repeats_no_line_at_a_cut() {
    let (sandbox, id) = sandbox_of(
        "writer",
        "i=0; while :; do i=$((i+1)); echo $i; sleep 0.002; done",
    );
    let (following, relay) = follow_through_relay(&sandbox, &id);
    for (count, bytes) in [0, 40, 150, 3000, 20_000, 70_000].into_iter().enumerate() {
        let before = following.stdout().len();
        eventually("lines are printed", || following.stdout().len() > before);
        relay.close_after(bytes);
        eventually("the cut", || relay.is_closed());
        eventually("the lost connection is reported", || {
            following.stderr().matches("connection lost").count() > count
        });
        relay.open();
        eventually("the command reconnects", || {
            following.stderr().matches("reconnected").count() > count
        });
    }
    following.interrupt();
    let done = following.wait().code(130);
    let numbers: Vec<u64> = done.stdout.lines().flat_map(str::parse).collect();
    for pair in numbers.windows(2) {
        assert_eq!(pair[1], pair[0] + 1, "{} after {}", pair[1], pair[0]);
    }
}
