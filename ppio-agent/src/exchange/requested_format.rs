//! The format of the response that the caller requests.

use http::HeaderValue;
use ppio_agent_protocol::ResponseFormat;

/// How the body of a response is written, and whether a header of the response names the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedFormat {
    /// The caller requests no format: the response is the envelope, as PPIO's callers expect.
    Unspecified,
    /// The request has AgentCore's headers: the response is the bare value.
    AgentCore,
    /// The caller requests the envelope.
    Envelope,
    /// The caller requests the bare value.
    Value,
    /// A protocol of this crate reads the response and writes its own response. The response that
    /// it reads is the bare value, with a mark if it is a
    /// [`ChatEvent`](ppio_agent_protocol::ChatEvent).
    #[cfg(feature = "chat")]
    Chat,
}

impl RequestedFormat {
    /// Returns the format that a value of `PPIO-Response-Format` requests. `events` is not such a
    /// value: `Accept` and the body select a stream.
    pub(crate) fn parse(header: &HeaderValue) -> Option<Self> {
        match header.to_str().ok()?.parse().ok()? {
            ResponseFormat::Envelope => Some(Self::Envelope),
            ResponseFormat::Value => Some(Self::Value),
            _ => None,
        }
    }

    /// Whether a value is written in the envelope.
    pub(crate) fn has_envelope(self) -> bool {
        matches!(self, Self::Unspecified | Self::Envelope)
    }

    /// Whether a header of the response names the format; callers of the other formats do not read
    /// that header.
    pub(crate) fn is_announced(self) -> bool {
        matches!(self, Self::Envelope | Self::Value)
    }

    /// Whether values and items that are `ChatEvent`s have a mark: a space in front of their JSON,
    /// which readers of JSON and of event streams ignore.
    #[inline]
    pub(crate) fn marks_chat_events(self) -> bool {
        match self {
            #[cfg(feature = "chat")]
            Self::Chat => true,
            Self::Unspecified | Self::AgentCore | Self::Envelope | Self::Value => false,
        }
    }

    /// Returns the format in which a value is written.
    pub(crate) fn of_value(self) -> ResponseFormat {
        if self.has_envelope() {
            ResponseFormat::Envelope
        } else {
            ResponseFormat::Value
        }
    }
}
