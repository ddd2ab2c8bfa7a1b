//! Serves one HTTP/1.1 connection with hyper, and adds timeouts, a shutdown, and responses that are
//! sent before the request body has been read.
//!
//! [`serve`] runs a connection. A request body that the handler does not read to its end would make
//! hyper close the connection abruptly; the system then answers bytes that still arrive with a
//! reset, which can destroy the response on its way to the client. So
//!
//! - the rest of a body of up to [`MAX_DISCARDED`] bytes is read and discarded, and the connection
//!   is used again,
//! - otherwise the response has the header `connection: close`, and after it the connection stays
//!   half closed until the client has closed its side, for at most [`LINGER_TIMEOUT`].
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
