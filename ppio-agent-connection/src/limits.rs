//! The timeouts of a connection, and its errors.

use std::time::Duration;

/// The timeouts of a connection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest time from the end of a response to the first byte of the next request.
    pub keep_alive_timeout: Duration,
    /// The maximum time in which the headers of a request arrive, from the first byte of the
    /// request or from the beginning of the connection.
    pub header_timeout: Duration,
    /// How long a client may read nothing of a response; `None` for no limit.
    pub write_timeout: Option<Duration>,
}

/// Why a connection ended early. Clients cause all of these errors except a failed response body.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The request line or the headers are invalid, the connection broke, or the body of a response
    /// failed while hyper sent it.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// The headers of a request did not arrive in time.
    #[error("the head of a request did not arrive within {} s", .0.as_secs_f64())]
    HeaderTimeout(Duration),
    /// The rest of a response could not be written.
    #[error("cannot write to the connection: {0}")]
    Write(#[source] std::io::Error),
    /// The body of a response failed after hyper's connection had been dropped.
    #[error("the body of the response failed: {0}")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The client does not read the response.
    #[error("the client read nothing for {} s", .0.as_secs_f64())]
    WriteTimeout(Duration),
}
