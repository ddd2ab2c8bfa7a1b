//! Runs the scripts of `interop/` against the agent.

use std::path::Path;
use std::process::Command;

use ppio_test_support::{AgentProcess, protocols_interpreter, protocols_node_modules};

/// Starts the agent with all protocols.
pub(crate) fn agent() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent"))).start()
}

/// Starts an agent whose types have schemas.
pub(crate) fn described_agent() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_described-agent"))).start()
}

/// Starts the agent with all protocols, configured for a platform.
pub(crate) fn agent_of(platform: &str) -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent")))
        .env("PPIO_AGENT_PLATFORM", platform)
        .start()
}

/// Runs a script with the URL of the agent.
pub(crate) fn run(script: &str, agent: &AgentProcess) {
    run_with(script, agent, &[]);
}

/// Runs a script with the URL of the agent and further arguments.
pub(crate) fn run_with(script: &str, agent: &AgentProcess, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop")
        .join(script);
    let is_python = path.extension().is_some_and(|extension| extension == "py");
    let mut command = if is_python {
        Command::new(protocols_interpreter())
    } else {
        let mut command = Command::new("node");
        command.env(
            "PPIO_INTEROP_PROTOCOLS_NODE_MODULES",
            protocols_node_modules(),
        );
        command
    };
    command.arg(path).arg(agent.url()).args(arguments);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{script} {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
