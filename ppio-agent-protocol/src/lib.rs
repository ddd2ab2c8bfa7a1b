//! What travels between a PPIO agent, its platform and its callers. No I/O here.
mod error_item;
pub mod headers;
mod invocation;
mod ping;
pub mod sse;
mod text;

pub use error_item::ErrorItem;
pub use invocation::{InvocationRequest, InvocationResponse, InvocationStatus};
pub use ping::{PingResponse, PingStatus, UnknownPingStatus};
