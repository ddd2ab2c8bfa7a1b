//! Raw requests to the control plane, for options that the client does not have.

use ppio_agent_client::platform::{Command, Envd, SandboxAddress};
use ppio_test_support::RawAnswer;
use serde_json::{Value, json};

use crate::test_platform::TestPlatform;

/// Sends a request with a JSON body.
pub(crate) async fn call(
    platform: &TestPlatform,
    method: &str,
    path: &str,
    body: &Value,
) -> RawAnswer {
    let headers = [("content-type", "application/json")];
    let body = body.to_string();
    platform
        .request(method, path, &headers, body.as_bytes())
        .await
}

/// Creates a sandbox with these fields in addition to template and timeout.
pub(crate) async fn create(platform: &TestPlatform, template: &str, more: Value) -> Value {
    let mut body = json!({"templateID": template, "timeout": 300});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = call(platform, "POST", "/sandboxes", &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

/// Kills a sandbox.
pub(crate) async fn kill(platform: &TestPlatform, sandbox: &Value) {
    let path = format!("/sandboxes/{}", id(sandbox));
    assert_eq!(
        platform.request("DELETE", &path, &[], b"").await.status,
        204
    );
}

/// Returns the id of a created or listed sandbox.
pub(crate) fn id(sandbox: &Value) -> &str {
    sandbox["sandboxID"].as_str().unwrap()
}

/// Returns the access token of a sandbox's daemon.
pub(crate) fn token(sandbox: &Value) -> &str {
    sandbox["envdAccessToken"].as_str().unwrap()
}

/// Runs a shell command in the sandbox and returns its output.
pub(crate) async fn shell(platform: &TestPlatform, sandbox: &Value, line: &str) -> String {
    let client = platform.client();
    let address = SandboxAddress {
        sandbox_id: id(sandbox).to_owned(),
        domain: None,
    };
    let envd: Envd = client.envd(&address, Some(&token(sandbox).into()));
    let process = envd.start(&Command::shell(line)).await.unwrap();
    let output = process.output().await.unwrap();
    format!("{}{}", output.stdout_text(), output.stderr_text())
}
