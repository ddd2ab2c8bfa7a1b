//! Serves one HTTP/1.1 connection with hyper, and adds timeouts, a shutdown, and responses that are
//! sent before the request body has been read.
//!
//! [`serve`] runs a connection. A request body that the handler does not read to its end would make
//! hyper close the connection abruptly; the system then answers bytes that still arrive with a
//! reset, which can destroy the response on its way to the client. So
//!
//! - up to [`MAX_DISCARDED`] unread bytes that arrive within [`DISCARD_TIMEOUT`] are discarded, and
//!   the connection is used again,
//! - otherwise the connection stays half closed after the response until the client has closed its
//!   side, for at most [`LINGER_TIMEOUT`]. The response has the header `connection: close`, unless
//!   the timeout expired after the headers were sent.
//!
//! A request whose end is ambiguous has a [`FramingError`] as an extension.

#![forbid(unsafe_code)]

mod chunk_scan;
mod deadlines;
mod discard;
mod framing;
mod limits;
mod linger;
mod message_scan;
mod progress;
mod request_body;
mod responding;
mod response_body;
mod rest_of_body;
mod serve;
mod stream;

pub use discard::{DISCARD_TIMEOUT, MAX_DISCARDED};
pub use framing::FramingError;
pub use limits::{ConnectionError, Limits};
pub use linger::{LINGER_TIMEOUT, MAX_LINGERED};
pub use request_body::RequestBody;
pub use serve::serve;
