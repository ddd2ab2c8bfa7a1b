//! The protocols by which an agent can be called.

use std::fmt;
use std::str::FromStr;

/// A protocol by which an agent is called, in addition to `POST /invocations`. Each is a cargo
/// feature of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// `OpenAI`'s chat completions and responses, below `/v1`.
    OpenAi,
    /// AG-UI at `/ag-ui`.
    AgUi,
    /// A2A at `/a2a`, with the agent card.
    A2a,
    /// MCP at `/mcp`.
    Mcp,
    /// The UI message stream of the Vercel AI SDK at `/api/chat`.
    UiStream,
    /// WebSocket at `/ws`.
    WebSocket,
}

impl Protocol {
    /// All protocols, including those that are not built in.
    pub const ALL: [Self; 6] = [
        Self::OpenAi,
        Self::AgUi,
        Self::A2a,
        Self::Mcp,
        Self::UiStream,
        Self::WebSocket,
    ];

    /// Returns the name, which is also that of the cargo feature.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AgUi => "ag-ui",
            Self::A2a => "a2a",
            Self::Mcp => "mcp",
            Self::UiStream => "ui-stream",
            Self::WebSocket => "websocket",
        }
    }

    /// Whether the cargo feature of the protocol is on.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::OpenAi => cfg!(feature = "openai"),
            Self::AgUi => cfg!(feature = "ag-ui"),
            Self::A2a => cfg!(feature = "a2a"),
            Self::Mcp => cfg!(feature = "mcp"),
            Self::UiStream => cfg!(feature = "ui-stream"),
            Self::WebSocket => cfg!(feature = "websocket"),
        }
    }

    /// Returns the protocols whose cargo features are on.
    pub(crate) fn built_in() -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|protocol| protocol.is_built_in()).collect()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|protocol| protocol.as_str() == text).ok_or(())
    }
}
