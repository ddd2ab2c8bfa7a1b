//! Sandboxes, as the control plane describes them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::endpoints::SandboxAddress;
use super::identifiers;
use crate::config::{NamesOnly, Secret};
use crate::error::Error;

/// A sandbox to be made.
///
/// Its `Debug` output tells the names of environment variables, not their values.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewSandbox {
    /// The template's id or alias.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// How long it lives unless it is refreshed; sent in whole seconds, at least one.
    #[serde(serialize_with = "whole_seconds")]
    pub timeout: Duration,
    /// Pause instead of kill when the time is up.
    pub auto_pause: bool,
    /// Environment variables of everything that runs in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env_vars: BTreeMap<String, String>,
    /// Facts to find it by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether envd asks for a token; the platform's default if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure: Option<bool>,
    /// Whether it may reach the internet; the platform's default if `None`.
    #[serde(
        rename = "allow_internet_access",
        skip_serializing_if = "Option::is_none"
    )]
    pub allow_internet_access: Option<bool>,
    /// Volumes to mount.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volume_mounts: Vec<VolumeMount>,
    /// Fields this version has no name for, sent as they are.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl NewSandbox {
    /// A sandbox of this template that lives this long, with the platform's defaults.
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

/// A volume and where it appears in the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume.
    pub name: String,
    /// The directory in the sandbox.
    pub path: String,
}

/// The platform counts in seconds; less than one would end a sandbox at once.
fn whole_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(seconds(*duration))
}

/// Rounded up: a caller who asks for 1.5 s gets no less.
pub(super) fn seconds(duration: Duration) -> u64 {
    let partial = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(partial).max(1)
}

/// A sandbox that was made, resumed or connected to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Sandbox {
    /// The id that all calls about it take.
    #[serde(rename = "sandboxID")]
    pub sandbox_id: String,
    /// The template it was made from.
    #[serde(rename = "templateID", default)]
    pub template_id: String,
    /// The machine it runs on, on older platforms.
    #[serde(rename = "clientID", default)]
    pub client_id: String,
    /// The version of the daemon in it.
    #[serde(default)]
    pub envd_version: String,
    /// The template's alias.
    #[serde(default)]
    pub alias: Option<String>,
    /// The domain its ports have their hosts under, if that is not the client's.
    #[serde(default)]
    pub domain: Option<String>,
    /// What envd wants to be shown, if the sandbox is secure.
    #[serde(default)]
    pub envd_access_token: Option<Secret>,
    /// What the edge wants to be shown, if the sandbox is not open to all.
    #[serde(default)]
    pub traffic_access_token: Option<Secret>,
}

impl Sandbox {
    /// Where it is.
    ///
    /// ```
    /// fn host(sandbox: &ppio_agent_client::platform::Sandbox) -> String {
    ///     sandbox.address().sandbox_id
    /// }
    /// ```
    pub fn address(&self) -> SandboxAddress {
        SandboxAddress {
            sandbox_id: self.sandbox_id.clone(),
            domain: self.domain.clone().filter(|domain| !domain.is_empty()),
        }
    }

    /// With its whole id, if that and the domain are what they have to be.
    pub(super) fn checked(mut self, operation: &str, legacy: bool) -> Result<Self, Error> {
        self.sandbox_id = full_id(self.sandbox_id, &self.client_id, legacy);
        identifiers::answered_id(operation, "sandboxID", &self.sandbox_id)?;
        identifiers::answered_domain(operation, self.domain.as_deref())?;
        Ok(self)
    }
}

/// The older platforms' ids are made of two.
fn full_id(sandbox_id: String, client_id: &str, legacy: bool) -> String {
    if legacy && !client_id.is_empty() {
        format!("{sandbox_id}-{client_id}")
    } else {
        sandbox_id
    }
}

/// What a sandbox is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SandboxState {
    /// It runs.
    #[default]
    Running,
    /// It is frozen, with its memory kept.
    Paused,
    /// A word this version does not know.
    Other(String),
}

impl SandboxState {
    /// The word on the wire.
    ///
    /// ```
    /// use ppio_agent_client::platform::SandboxState;
    /// assert_eq!(SandboxState::Paused.as_str(), "paused");
    /// ```
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

/// A sandbox as it is now.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SandboxInfo {
    /// The id that all calls about it take.
    #[serde(rename = "sandboxID")]
    pub sandbox_id: String,
    /// The template it was made from.
    #[serde(rename = "templateID", default)]
    pub template_id: String,
    /// The machine it runs on, on older platforms.
    #[serde(rename = "clientID", default)]
    pub client_id: String,
    /// The template's alias.
    #[serde(default)]
    pub alias: Option<String>,
    /// The domain its ports have their hosts under, if that is not the client's.
    #[serde(default)]
    pub domain: Option<String>,
    /// What it is doing.
    #[serde(default)]
    pub state: SandboxState,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub started_at: Option<String>,
    /// When its time is up, RFC 3339.
    #[serde(default)]
    pub end_at: Option<String>,
    /// Processors.
    #[serde(default)]
    pub cpu_count: Option<u32>,
    /// Memory, in mebibytes.
    #[serde(rename = "memoryMB", default)]
    pub memory_mb: Option<u64>,
    /// Disk, in mebibytes.
    #[serde(rename = "diskSizeMB", default)]
    pub disk_size_mb: Option<u64>,
    /// The facts given when it was made.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether it is paused instead of killed when its time is up, where the platform tells.
    #[serde(rename = "lifecycle", default, deserialize_with = "pauses")]
    pub pauses_at_its_end: bool,
    /// The version of the daemon in it.
    #[serde(default)]
    pub envd_version: Option<String>,
    /// What envd wants to be shown, where the platform tells it again.
    #[serde(default)]
    pub envd_access_token: Option<Secret>,
    /// What the edge wants to be shown, where the platform tells it again.
    #[serde(default)]
    pub traffic_access_token: Option<Secret>,
}

impl SandboxInfo {
    /// Where it is.
    ///
    /// ```
    /// fn host(info: &ppio_agent_client::platform::SandboxInfo) -> String {
    ///     info.address().sandbox_id
    /// }
    /// ```
    pub fn address(&self) -> SandboxAddress {
        SandboxAddress {
            sandbox_id: self.sandbox_id.clone(),
            domain: self.domain.clone().filter(|domain| !domain.is_empty()),
        }
    }

    /// With its whole id, if that and the domain are what they have to be.
    pub(super) fn checked(mut self, operation: &str, legacy: bool) -> Result<Self, Error> {
        self.sandbox_id = full_id(self.sandbox_id, &self.client_id, legacy);
        identifiers::answered_id(operation, "sandboxID", &self.sandbox_id)?;
        identifiers::answered_domain(operation, self.domain.as_deref())?;
        Ok(self)
    }
}

/// `{"onTimeout": "pause" | "kill"}`.
fn pauses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let lifecycle = Value::deserialize(deserializer)?;
    Ok(lifecycle["onTimeout"] == "pause")
}

pub(super) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_sandbox_has_the_names_of_the_wire() {
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
    fn answers_are_read_whatever_is_missing_and_tokens_stay_hidden() {
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
