//! How a connection ended.

use crate::close_frame::CloseFrame;
use crate::error::WebSocketError;

/// How a connection ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SocketEnd {
    /// This side closed the connection.
    Closed(CloseFrame),
    /// The peer closed the connection, perhaps without a code.
    ClosedByPeer(Option<CloseFrame>),
    /// The peer exceeded a limit or violated the protocol, and was sent a close frame.
    Refused(WebSocketError),
    /// The connection broke.
    Broken(WebSocketError),
}
