//! Tests published WebSocket clients with one agent: Python's `websockets`, npm's `ws`, and the
//! headers of AgentCore's own client.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ppio_test_support::call::get;
use ppio_test_support::{AgentProcess, node_modules, python_interpreter};
use serde_json::{Value, json};

/// A published client.
#[derive(Clone, Copy)]
enum Package {
    Websockets,
    Ws,
}

impl Package {
    fn start(self, agent: &AgentProcess, scenario: &str) -> Child {
        let url = agent.url().replace("http://", "ws://") + "/ws";
        let mut command = match self {
            Self::Websockets => {
                let mut command = Command::new(python_interpreter());
                command.arg(interop_file("websocket_client.py"));
                command.args([&url, scenario]);
                command
            }
            Self::Ws => {
                let mut command = Command::new("node");
                command.arg(interop_file("websocket_client.mjs"));
                command.args([&url, scenario]).arg(node_modules());
                command
            }
        };
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Runs a scenario with the client and returns what it prints.
    fn run(self, agent: &AgentProcess, scenario: &str) -> Value {
        let output = self.start(agent, scenario).wait_with_output().unwrap();
        assert!(output.status.success(), "{scenario} fails");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn interop_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop")
        .join(name)
}

async fn metric(agent: &AgentProcess, name: &str) -> String {
    let page = get(agent, "/metrics").await.text().await;
    let line = format!("ppio_agent_{name} ");
    let found = page.lines().find_map(|found| found.strip_prefix(&line));
    found.unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs the published packages; run by `cargo xtask test`"]
async fn published_clients_have_the_same_results() {
    let agent = AgentProcess::start("websocket");
    let large = json!({"fits": 65_536, "code": 1009, "reason": "message too large"});
    let not_utf8 = json!({"code": 1007, "reason": "text is not UTF-8"});
    for (package, scenario, expected) in [
        (
            Package::Websockets,
            "value",
            json!({
                "echo": 2000, "subprotocol": null,
                "chat": {"words": ["one ", "two"], "done": 1, "session": null},
            }),
        ),
        (
            Package::Ws,
            "value",
            json!({"echo": 2000, "words": ["one ", "two"], "code": 1000, "reason": ""}),
        ),
        (Package::Websockets, "many", json!(5000)),
        (Package::Ws, "many", json!(5000)),
        (Package::Websockets, "at_once", json!(200)),
        (Package::Ws, "at_once", json!(200)),
        (Package::Websockets, "large_frame", large.clone()),
        (Package::Ws, "large_frame", large),
        (Package::Websockets, "fragments", json!(500_000)),
        (Package::Ws, "fragments", json!(500_000)),
        (
            Package::Websockets,
            "large_message",
            json!({"code": 1009, "reason": "message too large"}),
        ),
        (Package::Websockets, "not_utf8", not_utf8.clone()),
        (Package::Ws, "not_utf8", not_utf8),
        (Package::Websockets, "half_a_frame", json!(["fine"])),
        (Package::Websockets, "ping", json!(50)),
        (Package::Ws, "ping", json!(50)),
        (
            Package::Websockets,
            "closes",
            json!({"server": {"code": 4000, "reason": "see you"}, "client": 4001}),
        ),
        (
            Package::Ws,
            "closes",
            json!({"code": 4000, "reason": "see you"}),
        ),
        (Package::Websockets, "foreign_page", json!(403)),
        (Package::Ws, "foreign_page", json!(403)),
        (Package::Websockets, "agent_core", json!(true)),
    ] {
        let seen = package.run(&agent, scenario);
        assert_eq!(seen, expected, "{scenario}");
    }
    let failed = metric(
        &agent,
        "invocations_total{protocol=\"websocket\",outcome=\"server_error\"}",
    )
    .await;
    assert_eq!(failed, "0");
}

#[tokio::test]
#[ignore = "needs the published packages; run by `cargo xtask test`"]
async fn a_shutdown_closes_the_sockets_of_published_clients() {
    for package in [Package::Websockets, Package::Ws] {
        let agent = AgentProcess::start("websocket");
        let mut client = package.start(&agent, "drain");
        let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "open");
        assert!(agent.stop_gracefully().success());
        let seen: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let expected = json!({"code": 1001, "reason": "the agent is shutting down"});
        assert_eq!(seen, expected);
        assert!(client.wait().unwrap().success());
    }
}
