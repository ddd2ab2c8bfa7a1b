//! The error that sets the status of a response.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
#[cfg(feature = "websocket")]
use ppio_agent_websocket::WebSocketError;

use super::rejection::Rejection;

/// A boxed error that is `Send` and `Sync`.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error with an HTTP status and an error type.
///
/// An entrypoint may return any error that implements `Display`, which is answered with a 500.
/// Return this type to choose another status:
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
/// The response contains the message and the type; the sources are only logged. If an `Error` is a
/// source of another error, for example below `anyhow`'s context, the status, message and type of
/// the `Error` are sent, and the errors around it are logged.
///
/// A response that was created from an error has the error in its extensions, where middleware can
/// read it; see [`middleware`](crate::middleware). Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<ErrorData>);

#[derive(Clone)]
struct ErrorData {
    status: StatusCode,
    error_type: Cow<'static, str>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    rejection: Option<Rejection>,
    /// The body of the response, if the agent provided one.
    body: Option<Bytes>,
}

impl Error {
    /// Returns an error with a status from 400 to 599. Any other status becomes 500.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let status = if status.is_client_error() || status.is_server_error() {
            status
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self(Arc::new(ErrorData {
            status,
            error_type: Cow::Borrowed(default_type(status)),
            message: message.into(),
            source: None,
            rejection: None,
            body: None,
        }))
    }

    /// Returns a 400 error: the request is not valid.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Returns a 401 error: the caller is not authenticated.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// Returns a 403 error: the caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// Returns a 404 error: the resource that the request names does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Returns a 429 error: the caller sends too many requests.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, message)
    }

    /// Returns a 500 error: the agent failed.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// Returns a 503 error: something that the agent needs is not available now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Replaces the error type, the short name that programs match on.
    pub fn with_type(mut self, error_type: impl Into<Cow<'static, str>>) -> Self {
        let data = self.data();
        data.error_type = error_type.into();
        // The body contains the previous type.
        data.body = None;
        self
    }

    /// Sets the cause, which is logged and never sent.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.data().source = Some(source.into().into());
        self
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the short name of the error, such as `InvalidJson`.
    pub fn error_type(&self) -> &str {
        &self.0.error_type
    }

    /// Returns the text of the error.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the error of a panic in user code. The text of the panic may contain secrets, so it
    /// is logged and never sent.
    pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        Self::from(Rejection::Panicked).with_source(panic_message(panic))
    }

    /// Returns the text for the caller of a request: the [`message`](Self::message), or for a panic
    /// a reference to the log by request id.
    pub(crate) fn response_text(&self, request_id: &str) -> Cow<'_, str> {
        match self.rejection() {
            Some(Rejection::Panicked) => Cow::Owned(format!(
                "the agent panicked; its log has the reason at request id {request_id}"
            )),
            _ => Cow::Borrowed(self.message()),
        }
    }

    /// Sets the body of the response.
    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.data().body = Some(body);
        self
    }

    /// Removes the cause.
    pub(crate) fn without_source(mut self) -> Self {
        if self.0.source.is_some() {
            self.data().source = None;
        }
        self
    }

    /// Removes the body that the agent provided.
    pub(crate) fn without_body(mut self) -> Self {
        self.data().body = None;
        self
    }

    /// Returns the body of the response, if the agent provided one.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.0.body.as_ref()
    }

    fn data(&mut self) -> &mut ErrorData {
        Arc::make_mut(&mut self.0)
    }

    /// Returns the rejection that this error was created from.
    pub(crate) fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// Converts an error that user code returned: to an [`Error`] among its sources, otherwise to a
    /// 500 with its text and the given type. The sources are kept as text, since the error need not
    /// be `Send`.
    pub(crate) fn from_user(error_type: &'static str, error: &(dyn StdError + 'static)) -> Self {
        let chain = ErrorChain(error).to_string();
        let sources = chain
            .strip_prefix(&error.to_string())
            .and_then(|sources| sources.strip_prefix(": "));
        let (converted, logged) = match Self::find_in(error) {
            Some(found) if error.is::<Self>() => (found, sources),
            Some(found) => (found, Some(chain.as_str())),
            None => {
                let internal = Self::internal(error.to_string()).with_type(error_type);
                (internal, sources)
            }
        };
        match logged {
            Some(source) => converted.with_source(source),
            None => converted,
        }
    }

    /// Converts an error of user code that can be boxed; see [`from_user`](Self::from_user).
    pub(crate) fn from_boxable<E: Into<BoxError>>(error: E) -> Self {
        let error: BoxError = error.into();
        Self::from_user(type_name::<E>(), &*error)
    }

    /// Returns a copy of the first [`Error`] in a chain, without its source. The error of a
    /// WebSocket is converted to an [`Error`].
    fn find_in(error: &(dyn StdError + 'static)) -> Option<Self> {
        match error.downcast_ref::<Self>() {
            Some(found) => {
                let mut copy = found.clone();
                copy.data().source = None;
                Some(copy)
            }
            None => Self::of_websocket(error).or_else(|| Self::find_in(error.source()?)),
        }
    }

    /// Converts the error of a WebSocket, which is not a failure of the user code that returns it.
    #[cfg(feature = "websocket")]
    fn of_websocket(error: &(dyn StdError + 'static)) -> Option<Self> {
        let error = error.downcast_ref::<WebSocketError>()?;
        Some(error.clone().into())
    }

    #[cfg(not(feature = "websocket"))]
    fn of_websocket(_: &(dyn StdError + 'static)) -> Option<Self> {
        None
    }
}

/// Returns the error type of a Rust type: the last segment of its path, or `AgentError` for types
/// that name no particular error, such as `anyhow::Error`, `eyre::Report` or `Arc<dyn Error>`.
pub(crate) fn type_name<E>() -> &'static str {
    let path = std::any::type_name::<E>();
    let path = path.split('<').next().unwrap_or(path);
    match path.rsplit("::").next() {
        Some(
            "" | "Error" | "Report" | "Whatever" | "String" | "str" | "&str" | "Box" | "Arc" | "Rc"
            | "Cow",
        )
        | None => "AgentError",
        Some(name) => name,
    }
}

/// Returns the error type of a status, for errors that set no other type.
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

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let mut error = Self::new(rejection.status(), rejection.to_string());
        let data = error.data();
        data.error_type = Cow::Borrowed(rejection.error_type());
        data.rejection = Some(rejection);
        error
    }
}

#[cfg(feature = "websocket")]
impl From<WebSocketError> for Error {
    fn from(error: WebSocketError) -> Self {
        Rejection::WebSocket(error).into()
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

/// Returns the message of a panic, or `no message`.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// Displays an error and its sources, outermost first, for the log.
pub(crate) struct ErrorChain<'a>(pub(crate) &'a (dyn StdError + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut next = self.0.source();
        while let Some(error) = next {
            let text = error.to_string();
            // Errors that forward the text of their source would repeat it.
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
    fn a_new_error_type_removes_the_body() {
        let error = Error::internal("no luck").with_body(Bytes::from_static(b"{}"));
        assert_eq!(error.clone().with_source("hidden").body(), error.body());
        assert_eq!(error.with_type("Own").body(), None);
    }

    #[test]
    fn a_success_status_is_not_an_error() {
        assert_eq!(Error::new(StatusCode::OK, "x").status(), 500);
    }

    #[test]
    fn the_chain_has_every_text_once() {
        let error = Error::from_user("Outer", &Outer(std::fmt::Error));
        assert_eq!(
            ErrorChain(&error).to_string(),
            format!("outer: {}", std::fmt::Error)
        );
        assert_eq!(error.error_type(), "Outer");
    }

    #[test]
    fn a_type_for_any_error_has_the_default_name() {
        mod eyre {
            pub(super) struct Report;
            pub(super) struct TooLate;
        }
        assert_eq!(type_name::<eyre::Report>(), "AgentError");
        assert_eq!(type_name::<BoxError>(), "AgentError");
        assert_eq!(type_name::<std::sync::Arc<BoxError>>(), "AgentError");
        assert_eq!(type_name::<Cow<'static, str>>(), "AgentError");
        assert_eq!(type_name::<eyre::TooLate>(), "TooLate");
    }

    #[test]
    fn the_text_of_a_panic_is_only_a_source() {
        let panic: Box<dyn Any + Send> = Box::new("password=1");
        let error = Error::from_panic(&*panic);
        assert_eq!(
            ErrorChain(&error).to_string(),
            "the agent panicked: password=1"
        );
        let text = error.response_text("r-1");
        assert!(text.contains("r-1") && !text.contains("password"), "{text}");
        assert_eq!(error.message(), "the agent panicked");
    }

    #[test]
    fn an_error_keeps_its_status_in_a_box() {
        let boxed: BoxError = Box::new(Error::not_found("gone"));
        let error = Error::from_user("Error", &*boxed);
        assert_eq!(error.status(), 404);
    }
}
