//! Tests that the published Python SDK can invoke agents through its `SandboxSession`.
//!
//! The same requests are also sent to the Python runtime, which shows that these tests expect what
//! the SDK usually receives.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use ppio_test_support::{AgentProcess, python_interpreter};
use serde_json::{Value, json};

/// The SDK, with a Python interpreter that has it installed.
struct PythonSdk {
    interpreter: PathBuf,
}

impl PythonSdk {
    fn find() -> Self {
        Self {
            interpreter: python_interpreter(),
        }
    }

    /// Makes one call with the SDK and returns its outcome, as described in `agent_client.py`.
    fn call(&self, agent: &AgentProcess, arguments: &[&str]) -> Value {
        let output = Command::new(&self.interpreter)
            .arg(interop_file("agent_client.py"))
            .arg(agent.url())
            .args(arguments)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn invoke(&self, agent: &AgentProcess, request: &Value) -> Value {
        self.call(agent, &["invoke", &request.to_string()])
    }

    /// Starts an agent on the Python runtime, with the contract of the Rust agents in these tests.
    fn reference_agent(&self) -> AgentProcess {
        AgentProcess::command(Command::new(&self.interpreter))
            .arg(interop_file("reference_agent.py"))
            .start()
    }
}

fn interop_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("interop")
        .join(name)
}

/// Checks that a value arrived in the success envelope.
fn assert_value(outcome: &Value, result: &Value) {
    assert_eq!(outcome["kind"], "value", "{outcome}");
    let envelope = &outcome["value"];
    assert_eq!(envelope["result"], *result, "{outcome}");
    assert_eq!(envelope["status"], "success", "{outcome}");
    assert_eq!(envelope["error"], Value::Null, "{outcome}");
    assert!(envelope["duration"].as_f64().unwrap() >= 0.0, "{outcome}");
    assert_eq!(
        envelope["metadata"]["request_id"].as_str().unwrap().len(),
        36
    );
}

/// Checks that items arrived one by one, not together at the end.
fn assert_stream(outcome: &Value, items: &[Value]) {
    assert_eq!(outcome["kind"], "stream", "{outcome}");
    assert_eq!(outcome["items"], json!(items), "{outcome}");
    let arrivals = outcome["arrivals"].as_array().unwrap();
    let seconds = |index: usize| arrivals[index].as_f64().unwrap();
    let spread = seconds(arrivals.len() - 1) - seconds(0);
    assert!(spread > 0.05, "all items came within {spread} s: {outcome}");
}

/// Checks that the failure is an `InvocationError` that contains the agent's error body.
fn assert_failure(outcome: &Value, status: u16, text: &str) {
    assert_eq!(outcome["kind"], "error", "{outcome}");
    assert_eq!(outcome["type"], "InvocationError", "{outcome}");
    let message = outcome["message"].as_str().unwrap();
    assert!(message.contains(&format!("status {status}")), "{message}");
    let body = &message[message.find('{').unwrap()..];
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["result"], Value::Null, "{body}");
    assert_eq!(body["status"], "error", "{body}");
    assert!(body["duration"].is_number(), "{body}");
    assert!(body["error"].as_str().unwrap().contains(text), "{body}");
    assert_eq!(body["metadata"]["request_id"].as_str().unwrap().len(), 36);
}

/// Checks that the SDK reports the agent as healthy.
fn assert_healthy(sdk: &PythonSdk, agent: &AgentProcess) {
    let ping = sdk.call(agent, &["ping"]);
    assert_eq!(ping["kind"], "value", "{ping}");
    assert_eq!(ping["value"]["status"], "Healthy", "{ping}");
    let status = sdk.call(agent, &["status"]);
    assert_eq!(status["value"], "active", "{status}");
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_value_from_hello() {
    let sdk = PythonSdk::find();
    let agent = AgentProcess::start("hello");
    assert_healthy(&sdk, &agent);
    let outcome = sdk.invoke(&agent, &json!({"prompt": "世界"}));
    assert_value(&outcome, &json!({"message": "Hello, 世界!"}));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_stream_from_stream() {
    let sdk = PythonSdk::find();
    let agent = AgentProcess::start("stream");
    assert_healthy(&sdk, &agent);
    let outcome = sdk.invoke(&agent, &json!({"prompt": "one two 三"}));
    assert_stream(&outcome, &[json!("one "), json!("two "), json!("三")]);
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn an_invalid_request_is_a_failure() {
    let sdk = PythonSdk::find();
    let agent = AgentProcess::start("stream");
    assert_failure(&sdk.invoke(&agent, &json!({"prompt": 1})), 422, "prompt");
    assert_healthy(&sdk, &agent);
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_failing_handler_is_a_failure() {
    let sdk = PythonSdk::find();
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_failing-agent"))).start();
    let outcome = sdk.invoke(&agent, &json!({"fail": "no luck"}));
    assert_failure(&outcome, 500, "no luck");
    // The agent still works after the failure.
    assert_healthy(&sdk, &agent);
    assert_value(&sdk.invoke(&agent, &json!({"a": [1]})), &json!({"a": [1]}));
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn the_reference_agent_meets_the_same_expectations() {
    let sdk = PythonSdk::find();
    let agent = sdk.reference_agent();
    assert_healthy(&sdk, &agent);
    let outcome = sdk.invoke(&agent, &json!({"prompt": "世界"}));
    assert_value(&outcome, &json!({"message": "Hello, 世界!"}));
    let items = [
        json!({"index": 0}),
        json!({"index": 1}),
        json!({"index": 2}),
    ];
    assert_stream(&sdk.invoke(&agent, &json!({"count": 3})), &items);
    assert_failure(
        &sdk.invoke(&agent, &json!({"fail": "no luck"})),
        500,
        "no luck",
    );
    // The agent still works after the failure.
    assert_healthy(&sdk, &agent);
}

#[test]
#[ignore = "needs the packages that `cargo xtask test` fetches"]
fn a_stopped_agent_is_a_network_error() {
    let sdk = PythonSdk::find();
    let mut agent = sdk.reference_agent();
    agent.terminate();
    agent.wait(std::time::Duration::from_secs(20));
    let outcome = sdk.invoke(&agent, &json!({"prompt": "x"}));
    assert_eq!(outcome["type"], "NetworkError", "{outcome}");
}
