//! The program `traced-agent` of this package, with or without a receiver.

use std::process::Command;

use ppio_test_support::{AgentLauncher, AgentProcess};

use crate::receiver::Receiver;

/// Returns a launcher of the agent without a receiver.
pub(crate) fn agent() -> AgentLauncher {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_traced-agent")))
}

/// Returns a launcher of the agent that exports everything to the receiver without delay.
pub(crate) fn exporting(receiver: &Receiver) -> AgentLauncher {
    agent()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        // The defaults are 5 seconds for spans and 1 second for log records.
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
}
