//! `status`: what the platform last did with the agent.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text;

/// The `status` section. Tools maintain it; people do not edit it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(expecting = "a section such as `phase: deployed`")]
pub struct AgentStatus {
    /// How far the deployment is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<DeploymentPhase>,
    /// The template that was really built; the next deployment updates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// When it was last deployed, ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_deployed: Option<String>,
    /// The build that was last deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Every other field, kept as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// How far a deployment is. A word this version does not know is kept, so that a newer tool's file stays
/// readable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeploymentPhase {
    /// `pending`
    Pending,
    /// `building`
    Building,
    /// `deployed`
    Deployed,
    /// `failed`
    Failed,
    /// Anything else, as it came.
    Other(String),
}

impl DeploymentPhase {
    /// The exact text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Other(phase) => phase,
        }
    }
}

impl fmt::Display for DeploymentPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeploymentPhase {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "pending" => Self::Pending,
            "building" => Self::Building,
            "deployed" => Self::Deployed,
            "failed" => Self::Failed,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl Serialize for DeploymentPhase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for DeploymentPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a phase such as `deployed`")
    }
}
