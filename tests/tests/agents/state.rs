//! The startup and shutdown functions of an agent, in a separate process.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use ppio_test_support::{
    AgentLauncher, AgentProcess, call, eventually, eventually_blocking, eventually_some,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// The time limit for a process to end. The grace period is 30 s unless a test sets it.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

fn stateful() -> AgentLauncher {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_stateful-agent")))
}

fn send(agent: &AgentProcess, signal: Signal) {
    let pid = i32::try_from(agent.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn a_startup_function_that_fails_ends_the_process_before_it_listens() {
    let name = "the startup function `open` at tests/agents/stateful.rs:";
    for (startup, reason) in [
        ("fail", " failed: no disk in STARTUP"),
        ("panic", " failed: panic: no luck in STARTUP"),
    ] {
        let mut agent = stateful().env("STARTUP", startup).spawn();
        assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(1), "{startup}");
        let log = agent.stderr();
        assert!(log.contains(name) && log.contains(reason), "{log}");
        assert_eq!(log.matches(reason).count(), 1, "{log}");
        assert_eq!(agent.stdout(), "");
        // There is no state to release.
        assert!(!log.contains("closing"), "{log}");
    }
}

#[test]
fn a_signal_ends_startup_functions() {
    for startup in ["wait", "block"] {
        for signal in [Signal::TERM, Signal::INT] {
            let mut agent = stateful().env("STARTUP", startup).spawn();
            eventually_blocking("the startup", || agent.stderr().contains("opening"));
            send(&agent, signal);
            assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(0), "{startup}");
            assert_eq!(agent.stdout(), "");
            let log = agent.stderr();
            assert!(
                log.contains("a signal ended the start of the agent"),
                "{log}"
            );
            assert!(!log.contains("closing"), "{log}");
        }
    }
}

#[tokio::test]
async fn shutdown_functions_run_after_running_invocations() {
    let mut agent = stateful().start();
    assert_eq!(call::invoke(&agent, &json!(0)).await.result().await, 1);
    let stop = async {
        let running = "\nppio_agent_invocations_running 1\n";
        eventually_some("a running invocation", async || {
            let metrics = call::get(&agent, "/metrics").await.text().await;
            metrics.contains(running).then_some(())
        })
        .await;
        send(&agent, Signal::TERM);
        eventually("the shutdown", || agent.stderr().contains("shutting down")).await;
    };
    let nap = json!(1000);
    let (answer, ()) = tokio::join!(call::invoke(&agent, &nap), stop);
    assert_eq!(answer.result().await, 2);
    assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(0));
    let log = agent.stderr();
    assert!(log.contains("closing after 2"), "{log}");
    assert!(log.contains("closing last"), "{log}");
}

#[test]
fn a_shutdown_function_that_fails_is_an_error_of_the_process() {
    let name = "the shutdown function `close` at tests/agents/stateful.rs:";
    for (shutdown, reason) in [
        ("fail", " failed: no disk in SHUTDOWN"),
        ("panic", " failed: panic: no luck in SHUTDOWN"),
        ("wait", " did not end within the shutdown grace"),
    ] {
        let mut agent = stateful()
            .env("SHUTDOWN", shutdown)
            .env("PPIO_AGENT_SHUTDOWN_GRACE", "0.2")
            .start();
        send(&agent, Signal::TERM);
        assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(1), "{shutdown}");
        let log = agent.stderr();
        assert!(log.contains(name), "{log}");
        assert_eq!(log.matches(reason).count(), 1, "{log}");
        // The other shutdown functions run in any case.
        assert!(log.contains("closing last"), "{log}");
    }
}

#[test]
fn a_second_signal_ends_shutdown_functions() {
    for shutdown in ["wait", "block"] {
        let mut agent = stateful().env("SHUTDOWN", shutdown).start();
        send(&agent, Signal::TERM);
        eventually_blocking("the function", || agent.stderr().contains("closing after"));
        send(&agent, Signal::TERM);
        assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(0), "{shutdown}");
    }
}

#[tokio::test]
async fn shutdown_functions_do_not_run_after_a_second_signal() {
    let mut agent = stateful().start();
    let _nap = call::begin(&agent, &json!(600_000)).await;
    let running = "\nppio_agent_invocations_running 1\n";
    eventually_some("a running invocation", async || {
        let metrics = call::get(&agent, "/metrics").await.text().await;
        metrics.contains(running).then_some(())
    })
    .await;
    send(&agent, Signal::TERM);
    eventually("the shutdown", || agent.stderr().contains("shutting down")).await;
    send(&agent, Signal::TERM);
    assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(0));
    assert!(!agent.stderr().contains("closing"), "{}", agent.stderr());
}

#[test]
fn shutdown_functions_run_if_the_agent_cannot_listen() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut agent = stateful().at(taken.local_addr().unwrap()).spawn();
    assert_eq!(agent.wait(ENDS_WITHIN).code(), Some(1));
    let log = agent.stderr();
    assert!(log.contains("cannot listen on 127.0.0.1:"), "{log}");
    assert!(log.contains("closing after 0"), "{log}");
    assert_eq!(agent.stdout(), "");
}
