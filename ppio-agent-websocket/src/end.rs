//! How a connection ended.

use crate::close_frame::CloseFrame;
use crate::error::WebSocketError;

/// How a connection ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SocketEnd {
    /// This side closed it.
    Closed(CloseFrame),
    /// The peer closed it, perhaps without a code.
    ClosedByPeer(Option<CloseFrame>),
    /// The peer exceeded a limit or broke the protocol, and was sent a close frame.
    Refused(WebSocketError),
    /// It broke.
    Broken(WebSocketError),
}
