//! Tests the launcher that other tests use: it must not hang, must report why a start failed, and
//! must leave no process behind.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use ppio_test_support::{AgentLauncher, AgentProcess, eventually_blocking};
use rustix::process::{Pid, test_kill_process};

fn shell(script: &str) -> AgentLauncher {
    AgentProcess::command(Command::new("sh"))
        .arg("-c")
        .arg(script)
}

/// Starts `launcher`, which must fail, and returns the message of the panic.
fn reason(launcher: AgentLauncher) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| launcher.start())) else {
        panic!("the agent started");
    };
    *panic.downcast::<String>().unwrap()
}

#[test]
fn the_start_fails_as_soon_as_the_agent_exits() {
    let started = Instant::now();
    let reason = reason(shell("exit 3").ready_within(Duration::from_secs(20)));
    assert!(reason.contains("ended at once"), "{reason}");
    assert!(reason.contains('3'), "{reason}");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_start_fails_if_the_agent_never_answers() {
    let reason = reason(shell("sleep 600").ready_within(Duration::from_millis(100)));
    assert!(reason.contains("did not answer"), "{reason}");
}

#[test]
fn drop_ends_the_children_of_the_agent() {
    let agent = shell("sleep 600 & echo $!; wait").spawn();
    eventually_blocking("the child's id is printed", || {
        agent.stdout().ends_with('\n')
    });
    let child = Pid::from_raw(agent.stdout().trim().parse().unwrap()).unwrap();
    assert!(test_kill_process(child).is_ok(), "the child runs");
    drop(agent);
    // The child stays a zombie until its new parent reaps it.
    eventually_blocking("the child is gone", || {
        std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero()))
            .map_or(true, |stat| stat.contains(") Z "))
    });
}

#[test]
fn stop_lets_the_agent_shut_down() {
    let agent = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done").spawn();
    eventually_blocking("the trap is set", || agent.stdout().contains("ready"));
    assert_eq!(agent.stop_gracefully().code(), Some(7));
}

#[test]
fn variables_of_the_test_override_the_chosen_address() {
    let mut agent = shell("echo $PPIO_AGENT_HOST $PPIO_AGENT_PORT; echo why >&2; exit 2")
        .env("PPIO_AGENT_PORT", "not-a-port")
        .spawn();
    assert_eq!(agent.wait(Duration::from_secs(10)).code(), Some(2));
    assert_eq!(agent.stdout(), "127.0.0.1 not-a-port\n");
    assert_eq!(agent.stderr(), "why\n");
}

#[test]
fn an_example_is_built_started_and_stopped() {
    let agent = AgentProcess::start("hello");
    assert_eq!(agent.url(), format!("http://{}", agent.addr()));
    assert!(agent.stop_gracefully().success());
}
