//! The daemon of a sandbox of the local platform.

mod commands;
mod files;

use std::time::Duration;

use ppio_agent_client::AgentRuntimeClient;
use ppio_agent_client::platform::{Command, Envd, NewSandbox, Sandbox};
use ppio_test_support::RawAnswer;
use serde_json::Value;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const LIFE: Duration = Duration::from_secs(600);
const DEADLINE: Duration = Duration::from_secs(120);

/// A platform with one sandbox.
struct TestSandbox {
    platform: TestPlatform,
    client: AgentRuntimeClient,
    sandbox: Sandbox,
    envd: Envd,
}

impl TestSandbox {
    async fn start(mode: IsolationMode) -> Self {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let (sandbox, envd) = create(&client).await;
        Self {
            platform,
            client,
            sandbox,
            envd,
        }
    }

    fn headers(&self) -> [(&str, &str); 2] {
        let token = self.sandbox.envd_access_token.as_ref().unwrap();
        [
            ("e2b-sandbox-id", self.sandbox.sandbox_id.as_str()),
            ("x-access-token", token.expose()),
        ]
    }

    /// Sends a request to the daemon.
    async fn request(
        &self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        let mut headers = self.headers().to_vec();
        headers.extend(more);
        self.platform.request(method, path, &headers, body).await
    }

    /// Calls a method of the filesystem service.
    async fn files(&self, method: &str, message: Value) -> RawAnswer {
        let path = format!("/filesystem.Filesystem/{method}");
        let json = [("content-type", "application/json")];
        self.request("POST", &path, &json, message.to_string().as_bytes())
            .await
    }

    /// Runs a shell command and returns its output.
    async fn shell(&self, line: &str) -> String {
        let mut command = Command::new("/bin/sh");
        command.args = vec!["-c".into(), line.into()];
        let output = async { self.envd.start(&command).await?.output().await };
        let output = tokio::time::timeout(DEADLINE, output).await;
        let output = output.unwrap_or_else(|_| panic!("{line:?} did not end"));
        let output = output.unwrap();
        format!("{}{}", output.stdout_text(), output.stderr_text())
    }

    async fn kill(&self) {
        let platform = self.client.platform();
        assert!(
            platform
                .kill_sandbox(&self.sandbox.sandbox_id)
                .await
                .unwrap()
        );
    }

    async fn stop(self) {
        self.kill().await;
        self.platform.stop().await;
    }
}

async fn create(client: &AgentRuntimeClient) -> (Sandbox, Envd) {
    let sandbox = client
        .platform()
        .create_sandbox(&NewSandbox::new("base", LIFE))
        .await
        .unwrap();
    let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    (sandbox, envd)
}

/// Returns one mode for each isolation, because cgroups do not affect files.
async fn isolations() -> Vec<IsolationMode> {
    let mut all = IsolationMode::all();
    all.retain(|mode| mode.cgroups);
    all
}
