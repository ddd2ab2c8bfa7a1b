//! The WebSocket of an agent and of its client.
//!
//! [`open`] creates the two halves of a connection: user code sends and receives with the
//! [`WebSocket`], and the [`SocketDriver`], a future, owns the connection. The driver answers pings
//! and detects the end of the connection even while user code does something else, but reads
//! nothing while the queue of received messages is full.

#![forbid(unsafe_code)]

pub mod close_code;
mod close_frame;
mod driver;
mod end;
mod error;
mod handshake;
mod limits;
mod message;
mod metered_stream;
mod outgoing;
mod queues;
mod socket;

pub use close_frame::CloseFrame;
pub use driver::{Role, SocketDriver, open};
pub use end::SocketEnd;
pub use error::WebSocketError;
pub use handshake::{ClientHandshake, HandshakeError, accept, is_upgrade};
pub use limits::SocketLimits;
pub use message::WebSocketMessage;
pub use socket::{WebSocket, WebSocketSender};
