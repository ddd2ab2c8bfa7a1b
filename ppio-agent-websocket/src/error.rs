//! The errors of an open connection.

use std::io;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::error::{CapacityError, Error as RawError, ProtocolError};

use crate::close_code;
use crate::close_frame::CloseFrame;

/// Why a message was not sent or received.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The connection is closed, or about to be, so that nothing more is sent.
    #[error("the WebSocket is closed")]
    Closed,
    /// The connection ended without a close frame.
    #[error("the WebSocket was disconnected")]
    Disconnected(#[source] Arc<io::Error>),
    /// The peer sent a frame or message over the limit, and was sent the close code 1009.
    #[error("a frame or message of {size} bytes was received, the limit is {limit} bytes")]
    TooLarge {
        /// The size in bytes, as far as it is known.
        size: usize,
        /// The limit that the size exceeds, in bytes.
        limit: usize,
    },
    /// The peer sent a text message that is not UTF-8, and was sent the close code 1007.
    #[error("a text message was received that is not UTF-8")]
    NotUtf8,
    /// The peer violated the WebSocket protocol, and was sent the close code 1002.
    #[error("the peer broke the WebSocket protocol: {problem}")]
    Protocol {
        /// A description of the violation.
        problem: String,
    },
    /// The code or the reason of [`close`](crate::WebSocket::close) cannot be sent.
    #[error(
        "cannot close the WebSocket: {problem}; send a code such as 1000, or one from 4000 to \
         4999, and a reason of up to 123 bytes"
    )]
    InvalidClose {
        /// A description of the invalid code or reason.
        problem: String,
    },
}

impl WebSocketError {
    pub(crate) fn of(error: RawError) -> Self {
        match error {
            RawError::ConnectionClosed | RawError::AlreadyClosed => Self::Closed,
            RawError::Io(error) => Self::disconnected(error),
            RawError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                Self::disconnected(io::ErrorKind::UnexpectedEof.into())
            }
            RawError::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                Self::TooLarge {
                    size,
                    limit: max_size,
                }
            }
            RawError::Utf8(_) => Self::NotUtf8,
            error => Self::Protocol {
                problem: error.to_string(),
            },
        }
    }

    pub(crate) fn disconnected(error: io::Error) -> Self {
        Self::Disconnected(Arc::new(error))
    }

    /// Whether the connection was closed or disconnected, without an error in the peer's messages.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed | Self::Disconnected(_))
    }

    /// Returns the close frame that is sent to the peer because of its error; `None` for other
    /// errors.
    pub(crate) fn close_frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::TooLarge { .. } => (close_code::TOO_LARGE, "message too large"),
            Self::NotUtf8 => (close_code::INVALID_TEXT, "text is not UTF-8"),
            Self::Protocol { .. } => (close_code::PROTOCOL_ERROR, "protocol error"),
            Self::Closed | Self::Disconnected(_) | Self::InvalidClose { .. } => return None,
        };
        Some(CloseFrame::of(code, reason))
    }
}
