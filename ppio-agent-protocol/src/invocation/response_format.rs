//! The format of a response's body.

use std::fmt;
use std::str::FromStr;

/// The format of the body of an invocation's response, as the header [`RESPONSE_FORMAT`] names it.
///
/// ```
/// use ppio_agent_protocol::ResponseFormat;
///
/// assert_eq!("envelope".parse(), Ok(ResponseFormat::Envelope));
/// assert_eq!(ResponseFormat::Events.as_str(), "events");
/// assert!("xml".parse::<ResponseFormat>().is_err());
/// ```
///
/// [`RESPONSE_FORMAT`]: crate::headers::RESPONSE_FORMAT
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// `envelope`: an [`InvocationResponse`](crate::InvocationResponse).
    Envelope,
    /// `value`: the value that the agent's code returned, without an envelope.
    Value,
    /// `events`: an event stream. Each item is a value, and the error that ends a failed stream is
    /// an event named `error`.
    Events,
}

impl ResponseFormat {
    /// Returns the text in the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Value => "value",
            Self::Events => "events",
        }
    }
}

impl fmt::Display for ResponseFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error from parsing a [`ResponseFormat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidResponseFormat(String);

impl fmt::Display for InvalidResponseFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a response format; use `envelope`, `value` or `events`",
            self.0
        )
    }
}

impl std::error::Error for InvalidResponseFormat {}

impl FromStr for ResponseFormat {
    type Err = InvalidResponseFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Envelope, Self::Value, Self::Events]
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| InvalidResponseFormat(text.to_owned()))
    }
}
