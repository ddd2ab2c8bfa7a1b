//! How a client behaves.

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use crate::error::Error;

/// The most that is read of an answer where nothing says otherwise.
pub(crate) const MAX_RESPONSE_SIZE: ByteSize = ByteSize::new(64 << 20);

/// Limits and addresses of a client. Every field has a default; addresses that are not set come
/// from the environment.
///
/// ```
/// use std::time::Duration;
/// use ppio_agent_client::ClientConfig;
///
/// let config = ClientConfig {
///     max_connections: 200,
///     max_keepalive_connections: 50,
///     keepalive_expiry: Duration::from_secs(60),
///     ..ClientConfig::default()
/// };
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The control plane. Not set: `PPIO_API_URL`, else `https://api.{domain}`.
    pub base_url: Option<String>,
    /// Under which sandboxes have their hosts: a host name with an optional port. Not set:
    /// `PPIO_DOMAIN`, else `sandbox.ppio.cn`.
    pub domain: Option<String>,
    /// One address for all traffic into sandboxes, told apart by headers. Not set:
    /// `PPIO_SANDBOX_URL`, else every sandbox has its own host.
    pub sandbox_url: Option<String>,
    /// Talk to a platform on this machine's well-known ports, over http. Not set: `PPIO_DEBUG`.
    pub debug: Option<bool>,
    /// Whether agents are sent the API key, as `Authorization: Bearer <key>`, with which an agent
    /// can use the account. Not set: `PPIO_SEND_API_KEY_TO_AGENTS`, else only over https to hosts
    /// of PPIO's cloud, whose contract it is. `true` sends it to the agents of any other platform,
    /// as long as their sandboxes are below [`domain`](Self::domain) or behind
    /// [`sandbox_url`](Self::sandbox_url); `false` sends it to none.
    ///
    /// A sandbox that the platform gives a traffic token gets that token instead, and
    /// [`Invoke::header`](crate::Invoke::header) sends an `authorization` of the caller's own.
    pub send_api_key_to_agents: Option<bool>,
    /// The most that is read into memory of one answer: of an agent, of a file, of an item of a
    /// stream, of the output of a process. Not set: `PPIO_MAX_RESPONSE_SIZE` (bytes or `128Mi`),
    /// else 64 MiB. A larger one is [`Error::ResponseTooLarge`]. The limit is on the bytes: the value
    /// made of JSON with many small parts is several times as large.
    pub max_response_size: Option<ByteSize>,
    /// How long one call may take, all its attempts included: 300 s. For a stream, until it begins.
    pub timeout: Duration,
    /// How long one connection may take to be made: 10 s.
    pub connect_timeout: Duration,
    /// The longest silence in an open stream: 300 s. Heartbeats count as sound.
    pub stream_idle_timeout: Duration,
    /// How long a sandbox lives when [`SandboxConfig`](crate::SandboxConfig) does not say: 300 s.
    pub session_timeout: Duration,
    /// Tries after the first, for calls that may be repeated: 3.
    pub max_retries: u32,
    /// The longest pause before the first retry, doubled for each one after it: 1 s. The real
    /// pause is drawn at random below it.
    pub retry_delay: Duration,
    /// The longest pause of all: 30 s. A `Retry-After` may ask for more.
    pub max_retry_delay: Duration,
    /// Requests under way at once: 100. More wait for a place, within their deadline.
    pub max_connections: usize,
    /// Connections kept open between requests, over all hosts: 20. Zero keeps none.
    pub max_keepalive_connections: usize,
    /// How long a connection is kept between requests: 30 s.
    pub keepalive_expiry: Duration,
    /// Certificate authorities to trust beside the system's, each a PEM text.
    pub root_certificates: Vec<Vec<u8>>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            domain: None,
            sandbox_url: None,
            debug: None,
            send_api_key_to_agents: None,
            max_response_size: None,
            timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            stream_idle_timeout: Duration::from_secs(300),
            session_timeout: Duration::from_secs(300),
            max_retries: 3,
            retry_delay: Duration::from_secs(1),
            max_retry_delay: Duration::from_secs(30),
            max_connections: 100,
            max_keepalive_connections: 20,
            keepalive_expiry: Duration::from_secs(30),
            root_certificates: Vec::new(),
        }
    }
}

impl ClientConfig {
    /// What no client could work with.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (field, value) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("stream_idle_timeout", self.stream_idle_timeout),
        ] {
            if value.is_zero() {
                return Err(Error::validation(field, "must be longer than zero"));
            }
        }
        if self.session_timeout < Duration::from_secs(1) {
            let message = "must be a second or more, the platform counts in seconds";
            return Err(Error::validation("session_timeout", message));
        }
        if self.max_response_size == Some(ByteSize::new(0)) {
            return Err(Error::validation("max_response_size", "must be 1 or more"));
        }
        if self.max_connections == 0 {
            return Err(Error::validation("max_connections", "must be 1 or more"));
        }
        Ok(())
    }
}
