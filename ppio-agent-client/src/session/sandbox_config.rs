//! What kind of sandbox a session gets.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ppio_agent_protocol::headers::AGENT_PORT;
use ppio_agent_protocol::{CpuLimit, MemoryLimit};

use crate::config::NamesOnly;
use crate::error::Error;
use crate::platform::{SandboxInfo, VolumeMount};

/// Options of a session's sandbox.
///
/// Its `Debug` output tells the names of environment variables, not their values.
///
/// ```
/// use std::time::Duration;
/// use ppio_agent_client::SandboxConfig;
///
/// let config = SandboxConfig {
///     timeout: Some(Duration::from_secs(1800)),
///     auto_pause: true,
///     memory_limit: Some("512Mi".parse()?),
///     ..SandboxConfig::default()
/// };
/// # let _ = config;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct SandboxConfig {
    /// How long the sandbox lives unless it is refreshed, counted in seconds by the platform.
    /// `None`: [`ClientConfig::session_timeout`](crate::ClientConfig::session_timeout).
    pub timeout: Option<Duration>,
    /// How long the agent may take to become healthy. `None`: what its template says
    /// (`spec.runtime.timeout`), else 60 s.
    pub start_timeout: Option<Duration>,
    /// The memory that the sandbox must have. A template decides how much its sandboxes have
    /// (`spec.runtime.memory_limit` when it is deployed), so this cannot give more: a session whose
    /// sandbox has less is refused. `None`: whatever the template gives.
    pub memory_limit: Option<MemoryLimit>,
    /// The processors that the sandbox must have, with the same meaning.
    pub cpu_limit: Option<CpuLimit>,
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
    /// Ports that must be served before the session is ready: the agent's, 8080 by default, and
    /// after it any others, such as that of a page the agent serves. Every port of a sandbox can be
    /// reached, at [`port_url`](crate::SandboxSession::port_url), whether it is named here or not.
    pub ports: Vec<u16>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            timeout: None,
            start_timeout: None,
            memory_limit: None,
            cpu_limit: None,
            env_vars: BTreeMap::new(),
            metadata: BTreeMap::new(),
            auto_pause: false,
            secure: None,
            allow_internet_access: None,
            volume_mounts: Vec::new(),
            ports: vec![AGENT_PORT],
        }
    }
}

impl fmt::Debug for SandboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxConfig")
            .field("timeout", &self.timeout)
            .field("start_timeout", &self.start_timeout)
            .field("memory_limit", &self.memory_limit)
            .field("cpu_limit", &self.cpu_limit)
            .field("env_vars", &NamesOnly(&self.env_vars))
            .field("metadata", &self.metadata)
            .field("auto_pause", &self.auto_pause)
            .field("secure", &self.secure)
            .field("allow_internet_access", &self.allow_internet_access)
            .field("volume_mounts", &self.volume_mounts)
            .field("ports", &self.ports)
            .finish()
    }
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
        if self.ports.first().is_none_or(|port| *port == 0) {
            let message = "must begin with the port that the agent listens on";
            return Err(Error::validation("ports", message));
        }
        Ok(())
    }

    pub(crate) fn asks_for_a_size(&self) -> bool {
        self.memory_limit.is_some() || self.cpu_limit.is_some()
    }

    /// Whether a sandbox is as big as was asked for. What the platform does not tell is taken on trust.
    pub(crate) fn check_size(&self, sandbox: &SandboxInfo) -> Result<(), Error> {
        let too_small = |field: &str, has: String, asked: String| {
            let message = format!(
                "its sandboxes have {has}, {asked} were asked for; deploy it with a larger \
                 spec.runtime.{field}"
            );
            Error::protocol("check the template's size", message)
        };
        if let (Some(asked), Some(has)) = (self.memory_limit, sandbox.memory_mb)
            && has < asked.mebibytes()
        {
            let (has, asked) = (format!("{has} MiB"), format!("{} MiB", asked.mebibytes()));
            return Err(too_small("memory_limit", has, asked));
        }
        if let (Some(asked), Some(has)) = (self.cpu_limit, sandbox.cpu_count)
            && has < asked.cpu_count()
        {
            let asked = format!("{}", asked.cpu_count());
            return Err(too_small("cpu_limit", format!("{has} processors"), asked));
        }
        Ok(())
    }
}
