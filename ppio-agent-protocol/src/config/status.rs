//! The section `status`.

use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::agent_config_error::{AgentConfigError, set};
use super::timestamp::Timestamp;
use crate::text::{self, excerpt};

/// The last deployment of an agent, which tools write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `phase: deployed`")]
#[non_exhaustive]
pub struct AgentStatus {
    /// The state of the deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<DeploymentPhase>,
    /// The id of the template that was built; the next deployment updates this template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// When the deployment ended, in ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_deployed: Option<Timestamp>,
    /// The id of the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeploymentPhase {
    /// `pending`
    Pending,
    /// `building`
    Building,
    /// `deployed`
    Deployed,
    /// `failed`
    Failed,
}

/// An error from parsing a [`DeploymentPhase`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a phase, write `pending`, `building`, `deployed` or `failed`")]
pub struct InvalidDeploymentPhase(String);

impl AgentStatus {
    /// Creates a section with the state of the deployment.
    pub fn new(phase: DeploymentPhase) -> Self {
        Self {
            phase: Some(phase),
            ..Self::default()
        }
    }

    /// Sets the id of the template.
    pub fn with_template_id(mut self, template_id: impl Into<String>) -> Self {
        self.template_id = Some(template_id.into());
        self
    }

    /// Sets the end of the deployment: a [`Timestamp`], or a text in ISO 8601.
    ///
    /// # Errors
    ///
    /// If the text is not a time in ISO 8601.
    pub fn with_last_deployed<T>(mut self, last_deployed: T) -> Result<Self, AgentConfigError>
    where
        T: TryInto<Timestamp, Error: fmt::Display>,
    {
        self.last_deployed = Some(set("status.last_deployed", last_deployed)?);
        Ok(self)
    }

    /// Sets the id of the build.
    pub fn with_build_id(mut self, build_id: impl Into<String>) -> Self {
        self.build_id = Some(build_id.into());
        self
    }
}

impl DeploymentPhase {
    /// Returns the text in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for DeploymentPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeploymentPhase {
    type Err = InvalidDeploymentPhase;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "pending" => Ok(Self::Pending),
            "building" => Ok(Self::Building),
            "deployed" => Ok(Self::Deployed),
            "failed" => Ok(Self::Failed),
            _ => Err(InvalidDeploymentPhase(excerpt(text))),
        }
    }
}

impl Serialize for DeploymentPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DeploymentPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(
            deserializer,
            "`pending`, `building`, `deployed` or `failed`",
        )
    }
}
