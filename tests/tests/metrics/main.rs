//! Compares `/metrics` of an agent in a separate process with what its callers saw.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod load;
mod page;
mod socket;
mod stalls;

use std::process::Command;

use ppio_test_support::{AgentLauncher, AgentProcess, call};

/// The values of the label `outcome`.
const OUTCOMES: [&str; 5] = [
    "success",
    "client_error",
    "server_error",
    "timeout",
    "cancelled",
];

/// Returns a launcher of the agent whose invocations end in every way.
fn metered() -> AgentLauncher {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_metered-agent")))
}

/// Returns the page `/metrics` in Prometheus' own format.
async fn scrape(agent: &AgentProcess) -> String {
    call::get(agent, "/metrics").await.text().await
}

/// Returns the page `/metrics` in the `OpenMetrics` format.
async fn scrape_open_metrics(agent: &AgentProcess) -> String {
    let accept = [("accept", "application/openmetrics-text;version=1.0.0")];
    let answer = call::send(agent, "GET", "/metrics", &accept, String::new()).await;
    let content_type = &answer.headers()["content-type"];
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    answer.text().await
}
