//! The codes of close frames that agents and clients send (RFC 6455, 7.4.1). Applications choose
//! codes of their own from 4000 to 4999.

/// The connection has fulfilled its purpose.
pub const NORMAL: u16 = 1000;
/// The server shuts down, the client disconnects, or the connection was idle for too long.
pub const GOING_AWAY: u16 = 1001;
/// The peer violated the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// The peer sent a kind of message that is not accepted.
pub const UNSUPPORTED: u16 = 1003;
/// A text message was not UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// The peer's message breaks a rule of the application.
pub const POLICY: u16 = 1008;
/// A frame or a message was too large.
pub const TOO_LARGE: u16 = 1009;
/// The server failed.
pub const SERVER_ERROR: u16 = 1011;
