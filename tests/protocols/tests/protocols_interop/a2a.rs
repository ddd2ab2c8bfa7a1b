//! A2A's clients in Python and JavaScript.

use std::process::Command;

use ppio_test_support::AgentProcess;

use crate::support::{agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_python_client_sends_tasks() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    program
        .env("PPIO_AGENT_A2A_PUSH_PRIVATE", "true")
        .env("PPIO_AGENT_LIST_ANONYMOUS_RUNS", "true");
    run("a2a_client.py", &AgentProcess::command(program).start());
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_javascript_client_sends_tasks() {
    run("a2a_client.mjs", &agent());
}
