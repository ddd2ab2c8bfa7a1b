//! A2A's clients in Python and JavaScript.

use crate::support::{agent, run};

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_python_client_sends_tasks() {
    run("a2a_client.py", &agent());
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_javascript_client_sends_tasks() {
    run("a2a_client.mjs", &agent());
}
