//! The limits of a connection.

use std::time::Duration;

/// The limits of one connection.
#[derive(Debug, Clone, Copy)]
pub struct SocketLimits {
    /// The maximum size of a frame, in bytes. A larger frame from the peer is answered with 1009.
    /// Sent frames have at most this size, and at most 64 KiB.
    pub max_frame_size: usize,
    /// The maximum size of a message from the peer, in bytes. A larger message is answered with
    /// 1009.
    pub max_message_size: usize,
    /// How long the connection may be without a message in either direction before it is closed
    /// with 1001; `None` for no limit.
    pub idle_timeout: Option<Duration>,
    /// The interval of pings on an idle connection, which keep proxies from closing the connection;
    /// `None` for no pings.
    pub heartbeat: Option<Duration>,
    /// How long the peer may read nothing before it is disconnected.
    pub write_timeout: Duration,
}
