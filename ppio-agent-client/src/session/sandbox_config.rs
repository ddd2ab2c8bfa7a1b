//! Options of a session's sandbox.

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
/// Its `Debug` output contains the names of environment variables, not their values.
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
    /// How long the sandbox lives unless it is refreshed; the platform counts in seconds.
    /// `None`: [`ClientConfig::session_timeout`](crate::ClientConfig::session_timeout).
    pub timeout: Option<Duration>,
    /// The time limit for the agent to become healthy. `None`: the time limit of the template
    /// (`spec.runtime.timeout`), else 60 s.
    pub start_timeout: Option<Duration>,
    /// The memory that the sandbox must have. A template defines how much its sandboxes have
    /// (`spec.runtime.memory_limit` when it is deployed), so this field cannot add memory: creation
    /// fails if the sandbox has less. A size that the platform does not send is accepted. `None`:
    /// any size.
    pub memory_limit: Option<MemoryLimit>,
    /// The number of processors that the sandbox must have, checked like
    /// [`memory_limit`](Self::memory_limit).
    pub cpu_limit: Option<CpuLimit>,
    /// Environment variables of every process in the sandbox.
    pub env_vars: BTreeMap<String, String>,
    /// Metadata by which the sandbox can be found. Keys that begin with `ppio-client-` are
    /// reserved.
    pub metadata: BTreeMap<String, String>,
    /// Whether the sandbox is paused instead of killed when it expires.
    pub auto_pause: bool,
    /// Whether the sandbox's daemon requires a token. `None`: `true`, except on the older domains
    /// `sandbox.ppio.cn` and `sandbox-test.ppio.cn`.
    pub secure: Option<bool>,
    /// Whether the sandbox has internet access. `None`: the platform's default.
    pub allow_internet_access: Option<bool>,
    /// Volumes to mount.
    pub volume_mounts: Vec<VolumeMount>,
    /// Ports that must be open before the session is ready: first the agent's, 8080 by default,
    /// then any others, such as that of a web page that the agent serves. Ports that are not listed
    /// here are reachable too, at [`port_url`](crate::SandboxSession::port_url).
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
            let message = "must be 1 s or more, the platform counts in seconds";
            return Err(Error::validation("timeout", message));
        }
        let bad = self
            .env_vars
            .keys()
            .find(|name| name.is_empty() || name.contains(['=', '\0']));
        if let Some(name) = bad {
            let message = format!("{name:?} is not a valid name of an environment variable");
            return Err(Error::validation("env_vars", message));
        }
        if self.ports.first().is_none_or(|port| *port == 0) {
            let message = "must begin with the port that the agent listens on, such as 8080";
            return Err(Error::validation("ports", message));
        }
        Ok(())
    }

    pub(crate) fn has_size(&self) -> bool {
        self.memory_limit.is_some() || self.cpu_limit.is_some()
    }

    /// Checks that a sandbox has the required size. A size that the platform does not send is
    /// accepted.
    pub(crate) fn check_size(&self, sandbox: &SandboxInfo) -> Result<(), Error> {
        let too_small = |field: &str, has: String, required: String| {
            let message = format!(
                "the sandboxes have {has} and need {required}; deploy the template with a larger \
                 spec.runtime.{field}"
            );
            Error::runtime("check the template's size", message)
        };
        if let (Some(required), Some(has)) = (self.memory_limit, sandbox.memory_mb)
            && has < required.mebibytes()
        {
            let (has, required) = (
                format!("{has} MiB"),
                format!("{} MiB", required.mebibytes()),
            );
            return Err(too_small("memory_limit", has, required));
        }
        if let (Some(required), Some(has)) = (self.cpu_limit, sandbox.cpu_count)
            && has < required.cpu_count()
        {
            let required = format!("{}", required.cpu_count());
            return Err(too_small(
                "cpu_limit",
                format!("{has} processors"),
                required,
            ));
        }
        Ok(())
    }
}
