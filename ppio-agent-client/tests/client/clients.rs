//! Clients of the scripted platform: in the test process, and the example `client-basic` in a
//! process of its own.

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
use ppio_test_support::example_binary;
use ppio_test_support::scripted_platform::ScriptedPlatform;
use tokio::process::Command;

/// The API key that [`client_of`] uses.
pub(crate) const API_KEY: &str = "sk-test-7f3a9c";

/// Returns a client of this platform that retries quickly.
pub(crate) fn client_of(platform: &ScriptedPlatform) -> AgentRuntimeClient {
    client_with(platform, ClientConfig::default())
}

/// Returns a client of this platform with these limits, and sets its addresses and the pause
/// between retries.
pub(crate) fn client_with(platform: &ScriptedPlatform, config: ClientConfig) -> AgentRuntimeClient {
    let config = ClientConfig {
        base_url: Some(platform.url()),
        domain: Some(platform.domain()),
        retry_delay: Duration::from_millis(5),
        ..config
    };
    AgentRuntimeClient::builder()
        .api_key(API_KEY)
        .config(config)
        .build()
        .expect("a key and good addresses")
}

/// Returns a client of this platform that sends its API key to agents.
pub(crate) fn client_that_sends_its_key(platform: &ScriptedPlatform) -> AgentRuntimeClient {
    let config = ClientConfig {
        send_api_key_to_agents: Some(true),
        ..ClientConfig::default()
    };
    client_with(platform, config)
}

/// Returns the command of the example `client-basic`, which invokes `tmpl_1` once, without the
/// variables of this process that configure a client.
pub(crate) async fn client_basic() -> Command {
    let built = tokio::task::spawn_blocking(|| example_binary("client-basic"));
    let mut command = Command::new(built.await.expect("the example builds"));
    for (name, _) in std::env::vars() {
        let is_prefixed = ["PPIO_", "E2B_", "SSL_"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if is_prefixed || name.to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.arg("tmpl_1").kill_on_drop(true);
    command
}
