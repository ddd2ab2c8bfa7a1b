//! The platforms that call the agent according to their own contract.

use std::str::FromStr;

use super::protocol::Protocol;

/// A platform whose contract determines the address and the health check of the agent.
///
/// | platform | variable | listens on | serves |
/// | --- | --- | --- | --- |
/// | [`AgentCore`](Self::AgentCore) | `agentcore` | `0.0.0.0:8080` | `/invocations`, `/ping` |
/// | [`AgentCoreAgUi`](Self::AgentCoreAgUi) | `agentcore-ag-ui` | `0.0.0.0:8080` | AG-UI |
/// | [`AgentCoreMcp`](Self::AgentCoreMcp) | `agentcore-mcp` | `0.0.0.0:8000` | MCP |
/// | [`AgentCoreA2a`](Self::AgentCoreA2a) | `agentcore-a2a` | `0.0.0.0:9000` | A2A |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// A runtime of AWS AgentCore with its HTTP protocol.
    AgentCore,
    /// A runtime of AWS AgentCore with the protocol AG-UI.
    AgentCoreAgUi,
    /// A runtime of AWS AgentCore with the protocol MCP.
    AgentCoreMcp,
    /// A runtime of AWS AgentCore with the protocol A2A.
    AgentCoreA2a,
}

impl Platform {
    /// Returns the port that the platform calls.
    pub fn port(self) -> u16 {
        match self {
            Self::AgentCore | Self::AgentCoreAgUi => 8080,
            Self::AgentCoreMcp => 8000,
            Self::AgentCoreA2a => 9000,
        }
    }

    /// Returns the value of `PPIO_AGENT_PLATFORM` that selects the platform.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AgentCore => "agentcore",
            Self::AgentCoreAgUi => "agentcore-ag-ui",
            Self::AgentCoreMcp => "agentcore-mcp",
            Self::AgentCoreA2a => "agentcore-a2a",
        }
    }

    /// Returns the protocol that the platform calls, if it is not that of `/invocations`.
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::AgentCore => None,
            Self::AgentCoreAgUi => Some(Protocol::AgUi),
            Self::AgentCoreMcp => Some(Protocol::Mcp),
            Self::AgentCoreA2a => Some(Protocol::A2a),
        }
    }
}

impl FromStr for Platform {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let platforms = [
            Self::AgentCore,
            Self::AgentCoreAgUi,
            Self::AgentCoreMcp,
            Self::AgentCoreA2a,
        ];
        let mut platforms = platforms.into_iter();
        platforms.find(|it| it.as_str() == text).ok_or(())
    }
}
