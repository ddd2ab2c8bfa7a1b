//! Clients of the scripted platform.

use std::time::Duration;

use ppio_agent_client::{AgentRuntimeClient, ClientConfig};

use super::ScriptedPlatform;

/// The key that [`client_of`] uses.
pub const API_KEY: &str = "sk-test-7f3a9c";

/// A client of this platform that retries quickly.
pub fn client_of(platform: &ScriptedPlatform) -> AgentRuntimeClient {
    client_with(platform, ClientConfig::default())
}

/// A client of this platform with these limits; addresses and the pause between retries are set.
pub fn client_with(platform: &ScriptedPlatform, config: ClientConfig) -> AgentRuntimeClient {
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
