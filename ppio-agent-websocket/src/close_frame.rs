//! Why a connection is closed.

use std::fmt;

use tokio_tungstenite::tungstenite::protocol::CloseFrame as RawCloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The longest reason of a close frame, in bytes.
const MAX_REASON: usize = 123;

/// Why a connection is closed: a code and a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CloseFrame {
    /// The code; [`close_code`](crate::close_code) lists codes of the protocol.
    pub code: u16,
    /// A human-readable text, often empty.
    pub reason: String,
}

impl CloseFrame {
    /// Creates a close frame from a code and a reason that are known to be valid.
    pub fn of(code: u16, reason: &str) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
        }
    }

    /// Checks the code and the reason with which user code closes the connection. The error
    /// describes the problem.
    pub(crate) fn checked(code: u16, reason: &str) -> Result<Self, String> {
        if !CloseCode::from(code).is_allowed() {
            return Err(format!("{code} is not a code that can be sent"));
        }
        if reason.len() > MAX_REASON {
            return Err(format!("the reason has {} bytes", reason.len()));
        }
        Ok(Self::of(code, reason))
    }

    pub(crate) fn received(frame: &RawCloseFrame) -> Self {
        Self::of(frame.code.into(), frame.reason.as_str())
    }

    pub(crate) fn to_raw(&self) -> RawCloseFrame {
        RawCloseFrame {
            code: self.code.into(),
            reason: self.reason.clone().into(),
        }
    }
}

impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            // A peer's text must not write control characters to a terminal.
            write!(f, " {:?}", self.reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_and_reasons_that_can_be_sent_are_accepted() {
        for (code, reason, is_valid) in [
            (1000, "", true),
            (1011, "x", true),
            (3000, "x", true),
            (4999, &"x".repeat(123)[..], true),
            (4000, &"x".repeat(124)[..], false),
            (0, "", false),
            (999, "", false),
            (1004, "", false),
            (1005, "", false),
            (1006, "", false),
            (1015, "", false),
            (2000, "", false),
            (5000, "", false),
        ] {
            let checked = CloseFrame::checked(code, reason);
            assert_eq!(checked.is_ok(), is_valid, "{code} {}", reason.len());
        }
    }
}
