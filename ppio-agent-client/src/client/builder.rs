//! Puts a client together.

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use super::agent_runtime_client::AgentRuntimeClient;
use crate::config::AuthManager;
use crate::config::ClientConfig;
use crate::config::Secret;
use crate::config::Settings;
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::Endpoints;

/// Options of an [`AgentRuntimeClient`]. What is not given comes from the environment.
#[derive(Debug, Default)]
#[must_use = "a builder makes nothing until `build` is called"]
pub struct ClientBuilder {
    api_key: Option<Secret>,
    access_token: Option<Secret>,
    config: ClientConfig,
}

impl ClientBuilder {
    /// The API key, instead of `PPIO_API_KEY`. `PPIO_ACCESS_TOKEN`, which goes with that key, is not
    /// used then, and neither are `E2B_*` variables.
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().api_key("ppio_live_123");
    /// assert!(!format!("{builder:?}").contains("ppio_live_123"));
    /// ```
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// The token for calls about templates, instead of `PPIO_ACCESS_TOKEN`; the API key otherwise.
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().access_token("token");
    /// # let _ = builder;
    /// ```
    pub fn access_token(mut self, token: impl Into<Secret>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// The control plane's URL, instead of `PPIO_API_URL`.
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().base_url("http://localhost:3000");
    /// # let _ = builder;
    /// ```
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.config.base_url = Some(url.into());
        self
    }

    /// The domain that sandboxes have their hosts under, instead of `PPIO_DOMAIN`.
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().domain("localhost:3000");
    /// # let _ = builder;
    /// ```
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.config.domain = Some(domain.into());
        self
    }

    /// Whether agents are sent the API key, instead of `PPIO_SEND_API_KEY_TO_AGENTS`; see
    /// [`ClientConfig::send_api_key_to_agents`].
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().send_api_key_to_agents(false);
    /// # let _ = builder;
    /// ```
    pub fn send_api_key_to_agents(mut self, send: bool) -> Self {
        self.config.send_api_key_to_agents = Some(send);
        self
    }

    /// The most that is read into memory of one answer, instead of `PPIO_MAX_RESPONSE_SIZE`; see
    /// [`ClientConfig::max_response_size`].
    ///
    /// ```
    /// use ppio_agent_client::{AgentRuntimeClient, ByteSize};
    /// let builder = AgentRuntimeClient::builder().max_response_size(ByteSize::new(1 << 20));
    /// # let _ = builder;
    /// ```
    pub fn max_response_size(mut self, size: ByteSize) -> Self {
        self.config.max_response_size = Some(size);
        self
    }

    /// How long one call may take, all its attempts included.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().timeout(Duration::from_secs(60));
    /// # let _ = builder;
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// All other options at once, in place of everything but the keys set so far.
    ///
    /// ```
    /// use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
    /// let config = ClientConfig { max_retries: 5, ..ClientConfig::default() };
    /// let builder = AgentRuntimeClient::builder().config(config);
    /// # let _ = builder;
    /// ```
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.config = config;
        self
    }

    /// Makes the client. Opens no connection.
    ///
    /// # Errors
    /// [`Error::Authentication`] if there is no key, or the key of the environment is another
    /// vendor's than the address; [`Error::Validation`] for an address, a limit or a variable that
    /// makes no sense.
    ///
    /// ```
    /// use ppio_agent_client::AgentRuntimeClient;
    ///
    /// let client = AgentRuntimeClient::builder().api_key("ppio_live_123").build();
    /// assert!(client.is_ok());
    /// ```
    pub fn build(self) -> Result<AgentRuntimeClient, Error> {
        let settings = match self.api_key {
            Some(_) => Settings::read_without_keys()?,
            None => Settings::read()?,
        };
        let config = ClientConfig {
            max_response_size: self.config.max_response_size.or(settings.max_response_size),
            ..self.config
        };
        config.validate()?;
        let endpoints = Endpoints::resolve(&config, &settings)?;
        let auth = AuthManager::from_parts(
            self.api_key.or(settings.api_key),
            self.access_token.or(settings.access_token),
        )?;
        let core = ClientCore::new(config, endpoints, auth);
        Ok(AgentRuntimeClient::new(core))
    }
}
