//! AG-UI's clients in JavaScript and Python.

use crate::support::{agent, agent_of, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_client_runs_the_agent() {
    run("ag_ui.mjs", &agent());
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn every_event_fits_the_published_models() {
    run("ag_ui_models.py", &agent());
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_websocket_client_runs_the_agent() {
    run("ag_ui_socket.py", &agent_of("agentcore-ag-ui"));
}
