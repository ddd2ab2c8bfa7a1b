//! The configuration of a client.

use std::time::Duration;

use ppio_agent_protocol::ByteSize;

use crate::error::Error;

/// The default size limit of a response.
pub(crate) const MAX_RESPONSE_SIZE: ByteSize = ByteSize::new(64 << 20);

/// Limits and addresses of a client. Every field has a default; a field that is `None` is read from
/// the environment if its variable is set.
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
    /// The URL of the control plane. `None`: `PPIO_API_URL`, else `http://localhost:3000` if
    /// [`debug`](Self::debug) is set, else `https://api.{domain}` (`http` on this machine).
    pub base_url: Option<String>,
    /// The domain of the sandboxes' hosts: a host name with an optional port. `None`:
    /// `PPIO_DOMAIN`, else `sandbox.ppio.cn`.
    pub domain: Option<String>,
    /// One URL for all sandboxes, with headers that select the sandbox. `None`: `PPIO_SANDBOX_URL`,
    /// else `localhost` if [`debug`](Self::debug) is set, else every port of a sandbox has its own
    /// host.
    pub sandbox_url: Option<String>,
    /// Whether the platform is on this machine, on its default ports and over http. `None`:
    /// `PPIO_DEBUG`, else `false`.
    pub debug: Option<bool>,
    /// Whether agents are sent the API key, as `Authorization: Bearer <key>`. An agent that has the
    /// key can use the account. `None`: `PPIO_SEND_API_KEY_TO_AGENTS`, else only over https to
    /// hosts of PPIO's cloud, as PPIO's contract specifies. `true` sends the key on any platform,
    /// if the sandbox is on a subdomain of [`domain`](Self::domain), behind
    /// [`sandbox_url`](Self::sandbox_url), or on this machine with [`debug`](Self::debug), or if
    /// `domain` and the sandbox are both on PPIO's cloud. `false` never sends the key.
    ///
    /// An agent whose sandbox has a traffic token is sent that token instead, and
    /// [`Invoke::header`](crate::Invoke::header) sends an `authorization` header of the caller.
    pub send_api_key_to_agents: Option<bool>,
    /// The size limit of one response of an agent, one file, one item of a stream, and the output
    /// of one process in memory. `None`: `PPIO_MAX_RESPONSE_SIZE` (bytes or `128Mi`), else 64 MiB.
    /// Anything larger fails with an error whose [`root`](Error::root) is
    /// [`Error::ResponseTooLarge`]. The limit counts bytes; parsed JSON can need several times as
    /// much memory.
    pub max_response_size: Option<ByteSize>,
    /// The time limit of one call, including all its attempts: 300 s. For a stream, the limit
    /// applies until it begins.
    pub timeout: Duration,
    /// The time limit for establishing a connection: 10 s.
    pub connect_timeout: Duration,
    /// How long an open stream may receive nothing, not even a heartbeat: 300 s.
    pub stream_idle_timeout: Duration,
    /// How long a sandbox lives unless [`SandboxConfig`](crate::SandboxConfig) sets it: 300 s.
    pub session_timeout: Duration,
    /// The maximum number of attempts after the first, for calls that may be retried: 3.
    pub max_retries: u32,
    /// The longest pause before the first retry, doubled for each further retry: 1 s. The actual
    /// pause is random, up to this value.
    pub retry_delay: Duration,
    /// The longest pause before any retry: 30 s. A `Retry-After` may be longer.
    pub max_retry_delay: Duration,
    /// The maximum number of concurrent requests: 100. Further requests wait, within their
    /// deadline. Requests that kill a sandbox or cancel a dropped invocation do not count.
    pub max_connections: usize,
    /// The maximum number of idle connections, for all hosts together: 20. Zero keeps none.
    pub max_keepalive_connections: usize,
    /// How long an idle connection is kept open: 30 s.
    pub keepalive_expiry: Duration,
    /// Trusted certificate authorities in addition to the system's, each in PEM.
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
    /// Returns an error for a limit with which no call could succeed.
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
            let message = "must be 1 s or more, the platform counts in seconds";
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
