//! What kind of sandbox a session gets.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::Error;
use crate::platform::VolumeMount;

/// Options of a session's sandbox. Memory and processors are the template's.
///
/// ```
/// use std::time::Duration;
/// use ppio_agent_client::SandboxConfig;
///
/// let config = SandboxConfig {
///     timeout: Some(Duration::from_secs(1800)),
///     auto_pause: true,
///     ..SandboxConfig::default()
/// };
/// # let _ = config;
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SandboxConfig {
    /// How long the sandbox lives unless it is refreshed, counted in seconds by the platform.
    /// `None`: [`ClientConfig::session_timeout`](crate::ClientConfig::session_timeout).
    pub timeout: Option<Duration>,
    /// How long the agent may take to become healthy. `None`: what its template says
    /// (`spec.runtime.timeout`), else 60 s.
    pub start_timeout: Option<Duration>,
    /// Environment variables of everything in the sandbox.
    pub env_vars: BTreeMap<String, String>,
    /// Facts to find the sandbox by. Keys beginning with `ppio-client-` are this library's.
    pub metadata: BTreeMap<String, String>,
    /// Pause instead of kill when the time is up.
    pub auto_pause: bool,
    /// Whether the sandbox's daemon asks for a token. `None`: yes, except on the older domains.
    pub secure: Option<bool>,
    /// Whether the sandbox may reach the internet. `None`: the platform decides.
    pub allow_internet_access: Option<bool>,
    /// Volumes to mount.
    pub volume_mounts: Vec<VolumeMount>,
}

impl SandboxConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self
            .timeout
            .is_some_and(|timeout| timeout < Duration::from_secs(1))
        {
            let message = "must be a second or more, the platform counts in seconds";
            return Err(Error::validation("timeout", message));
        }
        let bad = self
            .env_vars
            .keys()
            .find(|name| name.is_empty() || name.contains(['=', '\0']));
        if let Some(name) = bad {
            let message = format!("{name:?} cannot be the name of an environment variable");
            return Err(Error::validation("env_vars", message));
        }
        Ok(())
    }
}
