//! The context of a request, as user code reads it.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use super::header_names::AGENT_CORE_SESSION_ID;
use super::json;
use super::per_connection::PerConnection;
use super::request_id::RequestId;
use super::runtime_settings::RuntimeSettings;
use super::stream_requested::stream_requested;
use super::task_tracker::TaskTracker;
use crate::stalls::Watch;
use crate::telemetry::{RequestTrace, TRACEPARENT, trace_id};

/// The context of one request: its ids, headers, deadline, and the values that middleware added.
///
/// Cloning is cheap. An entrypoint takes the context by value or by reference after the request;
/// elsewhere in the same request [`AgentRuntimeContext::current`] returns it.
///
/// ```
/// use ppio::RequestContext;
///
/// fn greeting(context: &RequestContext) -> String {
///     let language = context.header("accept-language").unwrap_or("en");
///     format!("{language} {}", context.session_id().unwrap_or("no session"))
/// }
///
/// // A unit test makes its own context.
/// let context = RequestContext::new().with_session_id("s-1");
/// assert_eq!(greeting(&context), "en s-1");
/// ```
#[derive(Clone)]
pub struct RequestContext(Arc<ContextData>);

struct ContextData {
    request_id: RequestId,
    /// Computed at its first use, because most handlers do not read it.
    session_id: OnceLock<Option<String>>,
    /// Set when the body has been read, after middleware has run.
    body: OnceLock<Bytes>,
    headers: HeaderMap,
    extensions: Extensions,
    deadline: Option<Instant>,
    /// The deadline that the caller's header `PPIO-Timeout` sets.
    header_deadline: Option<Instant>,
    /// The deadline that the request's `timeout` sets, known once the body is parsed.
    body_deadline: OnceLock<Instant>,
    cancelled: AtomicBool,
    trace: RequestTrace,
    shared: Option<PerConnection<ContextShared>>,
}

/// The data that the contexts of one agent share.
pub(crate) struct ContextShared {
    pub(crate) settings: RuntimeSettings,
    /// The background tasks that invocations started.
    pub(crate) tasks: TaskTracker,
    /// Watches background tasks while they are polled.
    pub(crate) task_watch: Watch,
}

impl RequestContext {
    /// Returns a context with a random request id and nothing else, for tests.
    pub fn new() -> Self {
        Self(Arc::new(ContextData {
            request_id: RequestId::random(),
            session_id: OnceLock::new(),
            body: OnceLock::new(),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            deadline: None,
            header_deadline: None,
            body_deadline: OnceLock::new(),
            cancelled: AtomicBool::new(false),
            trace: RequestTrace::default(),
            shared: None,
        }))
    }

    /// Returns a context with these headers.
    #[cfg(test)]
    pub(crate) fn of_headers(headers: HeaderMap) -> Self {
        Self::new().change(|inner| inner.headers = headers)
    }

    /// Replaces the request id.
    pub(crate) fn with_request_id(self, id: RequestId) -> Self {
        self.change(|inner| inner.request_id = id)
    }

    /// Replaces the session id.
    pub fn with_session_id(self, session_id: impl Into<String>) -> Self {
        self.change(|inner| inner.session_id = Some(session_id.into()).into())
    }

    /// Removes all deadlines except the caller's.
    #[cfg(feature = "websocket")]
    pub(crate) fn without_response_deadline(self) -> Self {
        self.change(|inner| inner.deadline = None)
    }

    /// Sets a header, and replaces its previous values.
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.change(|inner| {
            inner.headers.insert(name, value);
        })
    }

    /// Adds a value for [`extension`](Self::extension).
    pub fn with_extension<T: Clone + Send + Sync + 'static>(self, value: T) -> Self {
        self.change(|inner| {
            inner.extensions.insert(value);
        })
    }

    /// Returns the id of this request: its `x-request-id` or AgentCore header if the header has a
    /// valid id, otherwise a random UUID. The log lines of the request carry the id. The response
    /// carries the id as well, unless it is the kept answer of another request.
    pub fn request_id(&self) -> &str {
        self.0.request_id.as_str()
    }

    /// Returns the id as bytes, without the check that it is UTF-8.
    pub(crate) fn request_id_bytes(&self) -> &[u8] {
        self.0.request_id.as_bytes()
    }

    /// Returns the id of the session that the request belongs to: AgentCore's session header,
    /// otherwise the body's `sandbox_id`.
    ///
    /// Before middleware runs `Next`, the body is not read, so only the header is considered.
    pub fn session_id(&self) -> Option<&str> {
        let inner = &*self.0;
        if let Some(known) = inner.session_id.get() {
            return known.as_deref();
        }
        let id = match (session_header(&inner.headers), inner.body.get()) {
            (Some(id), _) => Some(id.to_owned()),
            (None, Some(body)) => sandbox_id_in(body),
            // The body is not read yet, so nothing is stored.
            (None, None) => return None,
        };
        inner.session_id.get_or_init(|| id).as_deref()
    }

    /// Returns the same as [`session_id`](Self::session_id): on PPIO a session is a sandbox.
    pub fn sandbox_id(&self) -> Option<&str> {
        self.session_id()
    }

    /// Returns all request headers, except those of AWS's infrastructure if AgentCore sends the
    /// request: `x-amz-*` and `x-amzn-*` other than those that this context has methods for.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Returns one request header, if it is present and printable ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// Returns a value that middleware put into the request's extensions, such as an authenticated
    /// user.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// Whether the caller requests a stream: the body has `"stream": true`, or the `Accept` header
    /// prefers `text/event-stream` to JSON. An entrypoint that can answer with either returns a
    /// [`Reply`](crate::Reply).
    ///
    /// Before middleware runs `Next`, the body is not read, so only the header is considered.
    pub fn stream_requested(&self) -> bool {
        stream_requested(&self.0.headers, self.0.body.get().map(|body| &**body))
    }

    /// Returns the time by which the response has to begin; after that, the response is a 504.
    /// Returns `None` if there is no such time, as in a context that a test created.
    ///
    /// The deadline is the earlier of the configured timeout and the caller's: the header
    /// `PPIO-Timeout`, or the `timeout` of an [`InvocationRequest`](crate::InvocationRequest). A
    /// stream has to end by the caller's deadline as well.
    pub fn deadline(&self) -> Option<Instant> {
        earlier(self.0.deadline, self.requested_deadline())
    }

    /// Returns the time by which the whole invocation has to end, if the caller sets a timeout.
    pub(crate) fn requested_deadline(&self) -> Option<Instant> {
        earlier(self.0.header_deadline, self.0.body_deadline.get().copied())
    }

    /// Whether the invocation was cancelled, for example because the client disconnected or the
    /// deadline passed. After the end of an invocation, this returns `true` as well.
    ///
    /// An `async` handler is dropped in that case. Synchronous code cannot be stopped from outside,
    /// so a long loop has to call this method, and to return if the invocation was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Returns the settings in force; the defaults in a context that a test created.
    pub fn settings(&self) -> &RuntimeSettings {
        match &self.0.shared {
            Some(shared) => &shared.settings,
            None => RuntimeSettings::defaults(),
        }
    }

    /// Sets the body once it is read. Later calls change nothing.
    pub(crate) fn set_body(&self, body: Bytes) {
        self.0.body.get_or_init(|| body);
    }

    /// Returns the body; empty before it is read.
    pub(crate) fn body(&self) -> &[u8] {
        self.0.body.get().map_or(&[], |body| body)
    }

    /// Returns the exported span of the request.
    pub(crate) fn trace(&self) -> &RequestTrace {
        &self.0.trace
    }

    pub(crate) fn tasks(&self) -> Option<&TaskTracker> {
        self.0.shared.as_ref().map(|shared| &shared.tasks)
    }

    /// Returns the watch that records the polls of the request's background tasks.
    pub(crate) fn task_watch(&self) -> Watch {
        let shared = self.0.shared.as_ref();
        shared.map_or(Watch::OFF, |shared| shared.task_watch)
    }

    /// Sets the deadline from the request's `timeout`.
    pub(crate) fn set_body_deadline(&self, deadline: Instant) {
        self.0.body_deadline.get_or_init(|| deadline);
    }

    /// Returns the id of the request's trace: that of the exported trace, otherwise the caller's.
    pub(crate) fn trace_id(&self) -> Option<Cow<'_, str>> {
        match self.trace().id() {
            Some(id) => Some(id.into()),
            None => self
                .header(TRACEPARENT.as_str())
                .and_then(trace_id)
                .map(Cow::Borrowed),
        }
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    fn change(self, change: impl FnOnce(&mut ContextData)) -> Self {
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| ContextData {
            request_id: shared.request_id.clone(),
            session_id: shared.session_id.clone(),
            body: shared.body.clone(),
            headers: shared.headers.clone(),
            extensions: shared.extensions.clone(),
            deadline: shared.deadline,
            header_deadline: shared.header_deadline,
            body_deadline: shared.body_deadline.clone(),
            cancelled: AtomicBool::new(shared.cancelled.load(Ordering::Relaxed)),
            trace: shared.trace.clone(),
            shared: shared.shared.clone(),
        });
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

/// The data of a request from which the server creates its context.
pub(crate) struct NewContext {
    pub(crate) request_id: RequestId,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) deadline: Instant,
    pub(crate) requested_deadline: Option<Instant>,
    pub(crate) trace: RequestTrace,
    pub(crate) shared: PerConnection<ContextShared>,
}

impl From<NewContext> for RequestContext {
    fn from(new: NewContext) -> Self {
        Self(Arc::new(ContextData {
            request_id: new.request_id,
            session_id: OnceLock::new(),
            body: OnceLock::new(),
            headers: new.headers,
            extensions: new.extensions,
            deadline: Some(new.deadline),
            header_deadline: new.requested_deadline,
            body_deadline: OnceLock::new(),
            cancelled: AtomicBool::new(false),
            trace: new.trace,
            shared: Some(new.shared),
        }))
    }
}

impl Default for RequestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers hold credentials, which must not reach a log.
        f.debug_struct("RequestContext")
            .field("request_id", &self.request_id())
            .field("session_id", &self.session_id())
            .finish_non_exhaustive()
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    [one, other].into_iter().flatten().min()
}

pub(crate) fn session_header(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AGENT_CORE_SESSION_ID)?
        .to_str()
        .ok()
        .filter(|id| !id.is_empty())
}

fn sandbox_id_in(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct OnlySession {
        sandbox_id: Option<String>,
    }
    // Searching for the key `sandbox_id` costs much less than parsing a body without this key.
    memchr::memmem::find(body, br#""sandbox_id""#).filter(|_| json::is_object(body))?;
    let found = serde_json::from_slice::<OnlySession>(body).ok()?.sandbox_id;
    // As in the header, an empty id is none: callers with it do not share a session.
    found.filter(|id| !id.is_empty())
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Access to the context of the current request.
///
/// The context is set in the entrypoint, in middleware, on the blocking threads that run
/// synchronous functions, in iterators and streams while they are polled, and in tasks started with
/// [`task::spawn`](crate::task::spawn).
#[derive(Debug, Clone, Copy)]
pub struct AgentRuntimeContext;

impl AgentRuntimeContext {
    /// Returns the current context, or `None` outside of a request.
    ///
    /// ```
    /// assert!(ppio::AgentRuntimeContext::current().is_none());
    /// ```
    pub fn current() -> Option<RequestContext> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a future with a context, for tests and for tasks spawned by other means.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use ppio::{AgentRuntimeContext, RequestContext};
    ///
    /// let context = RequestContext::new().with_session_id("s-1");
    /// let seen = AgentRuntimeContext::scope(context, async {
    ///     AgentRuntimeContext::current().unwrap().session_id().map(str::to_owned)
    /// });
    /// assert_eq!(seen.await.as_deref(), Some("s-1"));
    /// # }
    /// ```
    pub fn scope<F: Future>(context: RequestContext, future: F) -> impl Future<Output = F::Output> {
        let future = context.0.trace.scope(future);
        CURRENT.scope(context, future)
    }

    /// Runs a closure with a context, for threads that the runtime did not start.
    pub fn sync_scope<R>(context: RequestContext, closure: impl FnOnce() -> R) -> R {
        let trace = context.0.trace.clone();
        trace.sync_scope(|| CURRENT.sync_scope(context, closure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_id_is_a_top_level_key_of_the_body() {
        let find = |body: &str| sandbox_id_in(body.as_bytes());
        assert_eq!(find(r#"{"sandbox_id":"s1"}"#).as_deref(), Some("s1"));
        assert_eq!(find(r#"{"a":{"sandbox_id":"s1"}}"#), None);
        assert_eq!(find(r#"{"sandbox_id":7}"#), None);
        assert_eq!(find(r#"{"sandbox_id":""}"#), None);
        assert_eq!(find("[]"), None);
        assert_eq!(find(r#"["sandbox_id"]"#), None);
    }

    #[test]
    fn a_context_does_not_print_headers() {
        let context = RequestContext::new().with_header(
            http::header::AUTHORIZATION,
            HeaderValue::from_static("Bearer secret"),
        );
        assert!(!format!("{context:?}").contains("secret"));
    }
}
