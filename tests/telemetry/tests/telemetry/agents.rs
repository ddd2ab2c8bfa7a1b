//! The agent, started with a receiver.

use std::process::Command;

use ppio_test_support::{AgentLauncher, AgentProcess};

use crate::receiver::Receiver;

/// The agent, which exports to nothing yet.
pub(crate) fn agent() -> AgentLauncher {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_traced-agent")))
}

/// The agent with a receiver of everything, as soon as it ends.
pub(crate) fn exporting(receiver: &Receiver) -> AgentLauncher {
    agent()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        // Sooner than by the default of 5 seconds.
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "20")
}
