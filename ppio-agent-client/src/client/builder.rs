//! Builds a client from code and the environment.

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use super::agent_runtime_client::AgentRuntimeClient;
use crate::config::{AuthManager, ClientConfig, EnvironmentSettings, Secret};
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::PlatformEndpoints;
use crate::transport::Proxies;

/// Builds an [`AgentRuntimeClient`]. Options that are not set in code are read from the environment
/// if there is a variable for them.
///
/// An option that is set by a method of its own takes precedence over the same field of
/// [`config`](Self::config), in whatever order they are set.
#[derive(Debug, Default)]
#[must_use = "does nothing until `build` is called"]
pub struct ClientBuilder {
    api_key: Option<Secret>,
    access_token: Option<Secret>,
    config: ClientConfig,
    options: ClientOptions,
}

/// The options that were set by a method of their own.
#[derive(Debug, Default)]
struct ClientOptions {
    base_url: Option<String>,
    domain: Option<String>,
    send_api_key_to_agents: Option<bool>,
    max_response_size: Option<ByteSize>,
    timeout: Option<Duration>,
}

impl ClientOptions {
    fn over(self, config: ClientConfig) -> ClientConfig {
        ClientConfig {
            base_url: self.base_url.or(config.base_url),
            domain: self.domain.or(config.domain),
            send_api_key_to_agents: self
                .send_api_key_to_agents
                .or(config.send_api_key_to_agents),
            max_response_size: self.max_response_size.or(config.max_response_size),
            timeout: self.timeout.unwrap_or(config.timeout),
            ..config
        }
    }
}

impl AgentRuntimeClient {
    /// Creates a client with the API key and the addresses from the environment.
    ///
    /// # Errors
    /// [`Error::Authentication`] if neither `PPIO_API_KEY` nor `E2B_API_KEY` is set, the API key or
    /// the access token is malformed, or the API key and the address belong to different vendors;
    /// [`Error::Validation`] for an invalid variable.
    ///
    /// ```
    /// let client = ppio_agent_client::AgentRuntimeClient::from_env();
    /// # let _ = client;
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Returns a builder. Options that the caller does not set are read from the environment if
    /// there is a variable for them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ppio_agent_client::AgentRuntimeClient;
    ///
    /// let client = AgentRuntimeClient::builder()
    ///     .api_key("ppio_live_123")
    ///     .timeout(Duration::from_secs(60))
    ///     .build()?;
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

impl ClientBuilder {
    /// Sets the API key, in place of `PPIO_API_KEY`. `PPIO_ACCESS_TOKEN`, which belongs to the key
    /// of the environment, and `E2B_*` variables are then not used. If `E2B_API_URL` or
    /// `E2B_DOMAIN` is set and no other address is, [`build`](Self::build) returns an error.
    ///
    /// ```
    /// let builder = ppio_agent_client::AgentRuntimeClient::builder().api_key("ppio_live_123");
    /// assert!(!format!("{builder:?}").contains("ppio_live_123"));
    /// ```
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets the token for calls about templates, in place of `PPIO_ACCESS_TOKEN`; without a token,
    /// these calls send the API key.
    pub fn access_token(mut self, token: impl Into<Secret>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// Sets the URL of the control plane, in place of `PPIO_API_URL`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.options.base_url = Some(url.into());
        self
    }

    /// Sets the domain of the sandboxes' hosts, in place of `PPIO_DOMAIN`.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.options.domain = Some(domain.into());
        self
    }

    /// Sets whether agents are sent the API key, in place of `PPIO_SEND_API_KEY_TO_AGENTS`; see
    /// [`ClientConfig::send_api_key_to_agents`].
    pub fn send_api_key_to_agents(mut self, send: bool) -> Self {
        self.options.send_api_key_to_agents = Some(send);
        self
    }

    /// Sets the size limit of one response, in place of `PPIO_MAX_RESPONSE_SIZE`; see
    /// [`ClientConfig::max_response_size`].
    pub fn max_response_size(mut self, size: ByteSize) -> Self {
        self.options.max_response_size = Some(size);
        self
    }

    /// Sets the time limit of one call, including all its attempts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets all options except those that are set by their own methods. A second config replaces
    /// the first.
    ///
    /// ```
    /// use ppio_agent_client::{AgentRuntimeClient, ClientConfig};
    ///
    /// let config = ClientConfig { max_retries: 5, ..ClientConfig::default() };
    /// let builder = AgentRuntimeClient::builder().config(config);
    /// # let _ = builder;
    /// ```
    pub fn config(mut self, config: ClientConfig) -> Self {
        self.config = config;
        self
    }

    /// Builds the client. Opens no connection.
    ///
    /// # Errors
    /// [`Error::Authentication`] if there is no API key, the API key or the access token is
    /// malformed, or the API key of the environment and the address belong to different vendors;
    /// [`Error::Validation`] for an invalid address, limit or variable.
    pub fn build(self) -> Result<AgentRuntimeClient, Error> {
        let settings = match self.api_key {
            Some(_) => EnvironmentSettings::read_without_keys()?,
            None => EnvironmentSettings::read()?,
        };
        let config = self.options.over(self.config);
        let config = ClientConfig {
            max_response_size: config.max_response_size.or(settings.max_response_size),
            ..config
        };
        config.validate()?;
        let endpoints = PlatformEndpoints::resolve(&config, &settings)?;
        let auth = AuthManager::from_parts(
            self.api_key.or(settings.api_key),
            self.access_token.or(settings.access_token),
        )?;
        let proxies = Proxies::from_env();
        endpoints.check_proxy(&proxies)?;
        let core = ClientCore::new(config, endpoints, auth, proxies);
        Ok(AgentRuntimeClient::new(core))
    }
}
