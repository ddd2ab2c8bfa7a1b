//! Sandboxes in requests and responses of the control plane.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::config::{NamesOnly, Secret};
use crate::error::Error;
use crate::platform::endpoints::SandboxAddress;
use crate::platform::identifiers;
use crate::platform::json::null_is_empty;

/// A sandbox to create.
///
/// Its `Debug` output contains the names of environment variables, not their values.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSandbox {
    /// The template's id or alias.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// How long the sandbox lives unless it is refreshed; rounded up to whole seconds, at least
    /// one.
    #[serde(serialize_with = "whole_seconds")]
    pub timeout: Duration,
    /// Whether the sandbox is paused instead of killed when it expires.
    pub auto_pause: bool,
    /// Environment variables of every process in the sandbox.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Metadata by which the sandbox can be found.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether envd requires a token; `None`: the platform's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
    /// Whether the sandbox has internet access; `None`: the platform's default.
    #[serde(
        rename = "allow_internet_access",
        skip_serializing_if = "Option::is_none"
    )]
    pub allow_internet_access: Option<bool>,
    /// Volumes to mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Further fields, for parameters that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl NewSandbox {
    /// Describes a sandbox of this template with this timeout and the platform's defaults.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ppio_agent_client::platform::NewSandbox;
    ///
    /// let sandbox = NewSandbox::new("base", Duration::from_secs(60));
    /// assert_eq!(sandbox.template_id, "base");
    /// ```
    pub fn new(template_id: impl Into<String>, timeout: Duration) -> Self {
        Self {
            template_id: template_id.into(),
            timeout,
            auto_pause: false,
            env_vars: BTreeMap::new(),
            metadata: BTreeMap::new(),
            secure: None,
            allow_internet_access: None,
            volume_mounts: Vec::new(),
            extra: Map::new(),
        }
    }
}

impl fmt::Debug for NewSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSandbox")
            .field("template_id", &self.template_id)
            .field("timeout", &self.timeout)
            .field("auto_pause", &self.auto_pause)
            .field("env_vars", &NamesOnly(&self.env_vars))
            .field("metadata", &self.metadata)
            .field("secure", &self.secure)
            .field("allow_internet_access", &self.allow_internet_access)
            .field("volume_mounts", &self.volume_mounts)
            .finish_non_exhaustive()
    }
}

/// A volume and its mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The name of the volume.
    pub name: String,
    /// The directory in the sandbox.
    pub path: String,
}

/// Serializes a timeout in whole seconds, because the platform counts in seconds. Zero would kill a
/// sandbox immediately.
fn whole_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(seconds(*duration))
}

/// Returns whole seconds, rounded up, at least one.
pub(super) fn seconds(duration: Duration) -> u64 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(partial).max(1)
}

/// A sandbox that was created, resumed or connected to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sandbox {
    /// The sandbox's id.
    #[serde(rename = "sandboxID")]
    pub sandbox_id: String,
    /// The id of the template that the sandbox was created from.
    #[serde(rename = "templateID", default)]
    pub template_id: String,
    /// The machine that the sandbox runs on, from older platforms.
    #[serde(rename = "clientID", default)]
    pub client_id: String,
    /// The version of envd in the sandbox.
    #[serde(default)]
    pub envd_version: String,
    /// The template's alias.
    #[serde(default)]
    pub alias: Option<String>,
    /// The domain of the hosts of the sandbox's ports, if it is not the client's domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// The token that envd requires, if the sandbox is secure.
    #[serde(default)]
    pub envd_access_token: Option<Secret>,
    /// The token that the platform's edge proxy requires, if the sandbox is not public.
    #[serde(default)]
    pub traffic_access_token: Option<Secret>,
}

impl Sandbox {
    /// Returns the address of the sandbox.
    pub fn address(&self) -> SandboxAddress {
        address(&self.sandbox_id, self.domain.as_deref())
    }

    /// Adds the second part of the id on older platforms, and checks the id and the domain.
    pub(super) fn checked(mut self, operation: &str, legacy: bool) -> Result<Self, Error> {
        if legacy {
            append_client_id(&mut self.sandbox_id, &self.client_id);
        }
        check(operation, &self.sandbox_id, self.domain.as_deref())?;
        Ok(self)
    }
}

fn address(sandbox_id: &str, domain: Option<&str>) -> SandboxAddress {
    SandboxAddress {
        sandbox_id: sandbox_id.to_owned(),
        domain: domain
            .filter(|domain| !domain.is_empty())
            .map(str::to_owned),
    }
}

/// Appends the client id, to get the full id of a sandbox on an older platform.
fn append_client_id(sandbox_id: &mut String, client_id: &str) {
    if !client_id.is_empty() {
        sandbox_id.push('-');
        sandbox_id.push_str(client_id);
    }
}

/// Rejects a response whose id or domain is invalid.
fn check(operation: &str, sandbox_id: &str, domain: Option<&str>) -> Result<(), Error> {
    identifiers::check_response_id(operation, "sandboxID", sandbox_id)?;
    identifiers::check_response_domain(operation, domain)
}

/// The state of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SandboxState {
    /// The sandbox is running.
    #[default]
    Running,
    /// The sandbox is paused, with its memory kept.
    Paused,
    /// A state that this version does not define.
    Other(String),
}

impl SandboxState {
    /// The state as the platform writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Other(word) => word,
        }
    }
}

impl<'de> Deserialize<'de> for SandboxState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "running" => Self::Running,
            "paused" => Self::Paused,
            _ => Self::Other(word),
        })
    }
}

/// A sandbox and its current state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SandboxInfo {
    /// The sandbox's id.
    #[serde(rename = "sandboxID")]
    pub sandbox_id: String,
    /// The id of the template that the sandbox was created from.
    #[serde(rename = "templateID", default)]
    pub template_id: String,
    /// The machine that the sandbox runs on, from older platforms.
    #[serde(rename = "clientID", default)]
    pub client_id: String,
    /// The template's alias.
    #[serde(default)]
    pub alias: Option<String>,
    /// The domain of the hosts of the sandbox's ports, if it is not the client's domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// The sandbox's state.
    #[serde(default)]
    pub state: SandboxState,
    /// When the sandbox was created, as RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When the sandbox expires, as RFC 3339.
    #[serde(default)]
    pub end_at: Option<String>,
    /// The number of processors.
    #[serde(default)]
    pub cpu_count: Option<u32>,
    /// Memory, in mebibytes.
    #[serde(rename = "memoryMB", default)]
    pub memory_mb: Option<u64>,
    /// Disk, in mebibytes.
    #[serde(rename = "diskSizeMB", default)]
    pub disk_size_mb: Option<u64>,
    /// The metadata that was set when the sandbox was created.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether the sandbox is paused instead of killed when it expires; `false` if the platform
    /// does not send the sandbox's lifecycle.
    #[serde(rename = "lifecycle", default, deserialize_with = "pauses")]
    pub pauses_at_its_end: bool,
    /// The version of envd in the sandbox.
    #[serde(default)]
    pub envd_version: Option<String>,
    /// The token that envd requires, if the platform sends it.
    #[serde(default)]
    pub envd_access_token: Option<Secret>,
    /// The token that the platform's edge proxy requires, if the platform sends it.
    #[serde(default)]
    pub traffic_access_token: Option<Secret>,
}

impl SandboxInfo {
    /// Returns the address of the sandbox.
    pub fn address(&self) -> SandboxAddress {
        address(&self.sandbox_id, self.domain.as_deref())
    }

    /// Adds the second part of the id on older platforms, and checks the id and the domain.
    pub(super) fn checked(mut self, operation: &str, legacy: bool) -> Result<Self, Error> {
        if legacy {
            append_client_id(&mut self.sandbox_id, &self.client_id);
        }
        check(operation, &self.sandbox_id, self.domain.as_deref())?;
        Ok(self)
    }
}

/// Whether a lifecycle, `{"onTimeout": "pause" | "kill"}`, pauses the sandbox.
fn pauses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let lifecycle = Value::deserialize(deserializer)?;
    Ok(lifecycle["onTimeout"] == "pause")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_sandbox_serializes_with_the_platforms_names() {
        let mut sandbox = NewSandbox::new("base", Duration::from_millis(1500));
        sandbox.env_vars.insert("A".into(), "1".into());
        sandbox.secure = Some(true);
        sandbox.allow_internet_access = Some(false);
        sandbox.extra.insert("network".into(), json!({}));
        assert_eq!(
            serde_json::to_value(&sandbox).expect("plain data"),
            json!({
                "templateID": "base", "timeout": 2, "autoPause": false, "envVars": {"A": "1"},
                "secure": true, "allow_internet_access": false, "network": {},
            })
        );
    }

    #[test]
    fn responses_may_lack_fields_and_tokens_stay_hidden() {
        let sandbox: Sandbox = serde_json::from_value(json!({
            "sandboxID": "s", "clientID": "c", "domain": null, "envdAccessToken": "hush", "new": 1,
        }))
        .expect("enough");
        assert!(!format!("{sandbox:?}").contains("hush"));
        for (legacy, id) in [(false, "s"), (true, "s-c")] {
            let checked = sandbox.clone().checked("create sandbox", legacy);
            assert_eq!(checked.expect("an id").sandbox_id, id);
        }
        let hostile = Sandbox {
            client_id: "c.evil:19002/?".into(),
            ..sandbox
        };
        assert!(hostile.clone().checked("create sandbox", false).is_ok());
        let error = hostile.checked("create sandbox", true).expect_err("a host");
        assert!(error.to_string().contains("s-c.evil:19002/?"), "{error}");
        let info: SandboxInfo = serde_json::from_value(json!({
            "sandboxID": "s", "state": "snapshotting", "metadata": null,
        }))
        .expect("enough");
        assert_eq!(info.state, SandboxState::Other("snapshotting".into()));
    }
}
