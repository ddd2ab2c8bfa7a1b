//! The error an agent author may return to choose the status of the answer.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;

use crate::exchange::rejection::Failure;

/// Any boxed error that can cross threads.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error with an HTTP status and an error type of its own.
///
/// An entrypoint may fail with anything that can be displayed, and the caller gets a 500. Return
/// this type to say more:
///
/// ```
/// use ppio::{Error, Value};
///
/// fn city(request: &Value) -> Result<&str, Error> {
///     request["city"]
///         .as_str()
///         .ok_or_else(|| Error::bad_request("`city` is missing").with_type("MissingCity"))
/// }
///
/// let error = city(&Value::Null).unwrap_err();
/// assert_eq!(error.status(), 400);
/// assert_eq!(error.error_type(), "MissingCity");
/// ```
///
/// The caller sees the message and the type; the chain of sources goes to the log only. It still
/// counts as the source of another error, `anyhow`'s with context for example: then the caller is
/// told what this says, and the log has what was put around it.
pub struct Error(Box<Inner>);

struct Inner {
    status: StatusCode,
    error_type: Cow<'static, str>,
    message: String,
    source: Option<BoxError>,
    failure: Option<Failure>,
}

impl Error {
    /// An error with any status. A status below 400 becomes 500: an error is never a success.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let status = if status.is_client_error() || status.is_server_error() {
            status
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self(Box::new(Inner {
            status,
            error_type: Cow::Borrowed(default_type(status)),
            message: message.into(),
            source: None,
            failure: None,
        }))
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: the caller has not said who they are.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: the caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: what the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 429: the caller should slow down.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// 500: the agent failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// 503: something that the agent needs is not there now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Replaces the error type, the short name programs match on.
    pub fn with_type(mut self, error_type: impl Into<Cow<'static, str>>) -> Self {
        self.0.error_type = error_type.into();
        self
    }

    /// Keeps the cause, which is logged and never sent.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The short name of the error, such as `InvalidJson`.
    pub fn error_type(&self) -> &str {
        &self.0.error_type
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The framework's own failure, when this error is one.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.0.failure.as_ref()
    }

    /// A failure of the author's own code: what it told the caller, else a 500 whose type is the
    /// Rust type's name.
    pub(crate) fn from_author(error_type: &'static str, error: BoxError) -> Self {
        let told = Self::told_in(&*error);
        Self::from_report(error_type, error, told)
    }

    /// The same for an error that hides in its box what it told the caller.
    pub(crate) fn from_report(
        error_type: &'static str,
        error: BoxError,
        told: Option<Self>,
    ) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => *own,
            Err(error) => told
                .unwrap_or_else(|| Self::internal(error.to_string()).with_type(error_type))
                .with_source(error),
        }
    }

    /// What the first error of ours in a chain says to the caller. What was put around it is for
    /// the log.
    pub(crate) fn told_in(error: &(dyn StdError + 'static)) -> Option<Self> {
        let own = error.downcast_ref::<Self>();
        own.map(|own| Self::new(own.status(), own.message()).with_type(own.0.error_type.clone()))
            .or_else(|| Self::told_in(error.source()?))
    }

    /// The same for an error that cannot cross threads: its chain is kept as text.
    pub(crate) fn from_local(error_type: &'static str, error: &(dyn StdError + 'static)) -> Self {
        Self::told_in(error)
            .unwrap_or_else(|| Self::internal(error.to_string()).with_type(error_type))
            .with_source(Chain(error).to_string())
    }
}

/// The error types that a status implies when the author names none.
fn default_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "Unavailable",
        status if status.is_client_error() => "RequestError",
        _ => "AgentError",
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Self::new(failure.status(), failure.to_string());
        error.0.error_type = Cow::Borrowed(failure.error_type());
        error.0.failure = Some(failure);
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("status", &self.0.status.as_u16())
            .field("error_type", &self.0.error_type)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The messages of an error and its sources, outermost first, for the log.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            // An author's error becomes the source of ours with the same text; say it once.
            if text != last {
                write!(f, ": {text}")?;
                last = text;
            }
            next = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn a_success_status_is_not_an_error() {
        assert_eq!(Error::new(StatusCode::OK, "x").status(), 500);
    }

    #[test]
    fn the_chain_says_every_cause_once() {
        let error = Error::from_author("Outer", Box::new(Outer(std::fmt::Error)));
        assert_eq!(
            Chain(&error).to_string(),
            format!("outer: {}", std::fmt::Error)
        );
        assert_eq!(error.error_type(), "Outer");
    }

    #[test]
    fn an_error_of_ours_keeps_its_status_through_a_box() {
        let error = Error::from_author("Error", Box::new(Error::not_found("gone")));
        assert_eq!(error.status(), 404);
    }
}
