//! Ctrl-C, at every stage: nothing is left running, and the exit code says so.

mod support;

use ppio_sandbox_local::TemplateSpec;
use rustix::process::Signal;
use serde_json::json;
use support::{Sandbox, Stdin, config, scripted, send, until};

/// An agent that never answers a ping.
fn never_ready(name: &str) -> TemplateSpec {
    TemplateSpec::new(name)
        .start_command("exec sleep 86400")
        .config(config(name))
}

#[test]
fn while_the_request_is_read() {
    let sandbox = Sandbox::new();
    for arguments in [&["--json", "-"][..], &[]] {
        let waiting = sandbox
            .command(["agent", "invoke", "--template-id", "agent"])
            .args(arguments.iter().copied())
            .stdin(Stdin::Open)
            .spawn();
        until("it listens to signals", || {
            support::catches(waiting.pid(), Signal::INT)
        });
        waiting.interrupt();
        let done = waiting.wait().code(130);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn while_the_session_is_made() {
    let sandbox = Sandbox::with([never_ready("agent")]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let starting = sandbox
            .command(["agent", "invoke", "--template-id", "agent", "--input", "x"])
            .spawn();
        until("there is a sandbox", || !sandbox.sandboxes().is_empty());
        send(starting.pid(), signal);
        let done = starting.wait().code(code);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("error:"), "{done:?}");
        assert!(sandbox.sandboxes().is_empty());
    }
}

#[test]
fn before_the_platform_has_answered() {
    let sandbox = Sandbox::with([scripted("agent")]);
    // Takes requests and answers none.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    for command in [
        &["agent", "invoke", "--template-id", "agent", "--input", "x"][..],
        &["agent", "list"],
        &["agent", "status", "--template-id", "agent"],
        &["agent", "stop", "--template-id", "agent"],
        &["agent", "logs", "--template-id", "agent"],
        &["agent", "delete", "--yes", "--template-id", "agent"],
        &["doctor"],
    ] {
        let asking = sandbox
            .command(command.iter().copied())
            .env("PPIO_API_KEY", "any")
            .env("PPIO_API_URL", &url)
            .spawn();
        let (_connection, _) = silent.accept().expect("it asks");
        until("it listens to signals", || {
            support::catches(asking.pid(), Signal::INT)
        });
        asking.interrupt();
        // Where a sandbox may have been made, its answer is waited for; a second Ctrl-C is impatience.
        if command.contains(&"invoke") {
            until("it says what it waits for", || {
                asking.stderr().contains("Ctrl-C again")
            });
            asking.interrupt();
        }
        asking.wait().code(130);
    }
}

#[test]
fn while_the_answer_comes() {
    let sandbox = Sandbox::with([scripted("agent")]);
    for (request, before) in [
        // Not one item yet.
        (json!({"items": ["never"], "pause_ms": 3_600_000}), ""),
        (json!({"items": ["one "], "end": "hang"}), "one "),
    ] {
        for keep in [&[][..], &["--keep"]] {
            let asking = sandbox
                .command(["agent", "invoke", "--template-id", "agent", "--json"])
                .arg(request.to_string())
                .args(keep.iter().copied())
                .spawn();
            until("the agent was asked", || {
                asking.stdout() == before && asked(&sandbox)
            });
            asking.interrupt();
            asking.wait().code(130);
            // Not even where it was to be kept: an answer was to come first.
            assert!(sandbox.sandboxes().is_empty());
        }
    }
}

/// Whether an agent has written that it was asked.
fn asked(sandbox: &Sandbox) -> bool {
    sandbox.sandboxes().iter().any(|id| {
        let done = sandbox.run(["agent", "logs", "--session", id]);
        done.stdout.contains("asked for")
    })
}

#[test]
fn in_a_session_that_was_open_before_it_stays_open() {
    let sandbox = Sandbox::with([scripted("agent")]);
    sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            "agent",
            "--input",
            "x",
            "--keep",
        ])
        .code(0);
    let ids = sandbox.sandboxes();
    let request = json!({"items": ["one "], "end": "hang"}).to_string();
    let asking = sandbox
        .command(["agent", "invoke", "--session", &ids[0], "--json", &request])
        .spawn();
    until("the answer comes", || asking.stdout() == "one ");
    asking.interrupt();
    asking.wait().code(130);
    assert_eq!(sandbox.sandboxes(), ids);
}
