//! What a handler knows about the request it serves.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::exchange::header_names::AGENT_CORE_SESSION_ID;
use crate::exchange::request_id::RequestId;
use crate::server::agent::SharedAgent;
use crate::task::Tasks;

/// The context of one request: its ids, its headers, what middleware left for the handler, and
/// how much time there is.
///
/// Cloning is cheap. An entrypoint takes it by value or by reference as its second parameter;
/// anywhere else in the same request [`AgentRuntimeContext::current`] returns it.
///
/// ```
/// use ppio::RequestContext;
///
/// fn greeting(context: &RequestContext) -> String {
///     let language = context.header("accept-language").unwrap_or("en");
///     format!("{language} {}", context.session_id().unwrap_or("nobody"))
/// }
///
/// // In a unit test a context is made by hand.
/// let context = RequestContext::new().with_session_id("s-1");
/// assert_eq!(greeting(&context), "en s-1");
/// ```
#[derive(Clone)]
pub struct RequestContext(Arc<Inner>);

struct Inner {
    request_id: RequestId,
    /// Most handlers never ask for the session, so it is looked for only then.
    session_id: OnceLock<Option<String>>,
    /// Unset until it is read, which middleware's part of the log begins before.
    body: OnceLock<Bytes>,
    headers: HeaderMap,
    extensions: Extensions,
    deadline: Option<Instant>,
    /// An earlier deadline that the caller asked for, known once the body is parsed.
    asked_deadline: OnceLock<Instant>,
    cancelled: AtomicBool,
    agent: Option<SharedAgent>,
}

impl RequestContext {
    /// A context with a random request id and nothing else, for tests.
    pub fn new() -> Self {
        Self::named(RequestId::random())
    }

    /// A context with an id and nothing else.
    pub(crate) fn named(request_id: RequestId) -> Self {
        Self(Arc::new(Inner {
            request_id,
            session_id: OnceLock::new(),
            body: OnceLock::new(),
            headers: HeaderMap::new(),
            extensions: Extensions::new(),
            deadline: None,
            asked_deadline: OnceLock::new(),
            cancelled: AtomicBool::new(false),
            agent: None,
        }))
    }

    /// The same context in another session.
    pub fn with_session_id(self, session_id: impl Into<String>) -> Self {
        self.change(|inner| inner.session_id = Some(session_id.into()).into())
    }

    /// The same context with one header more.
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.change(|inner| {
            inner.headers.insert(name, value);
        })
    }

    /// The same context with a value for [`extension`](Self::extension).
    pub fn with_extension<T: Clone + Send + Sync + 'static>(self, value: T) -> Self {
        self.change(|inner| {
            inner.extensions.insert(value);
        })
    }

    /// The id of this request: the caller's `x-request-id` (or AgentCore's header) where it sent
    /// one, otherwise a random UUID. Every response and log line carries it.
    pub fn request_id(&self) -> &str {
        self.0.request_id.as_str()
    }

    /// The session the request belongs to: AgentCore's session header, otherwise the body's
    /// `sandbox_id`.
    pub fn session_id(&self) -> Option<&str> {
        let inner = &*self.0;
        if let Some(known) = inner.session_id.get() {
            return known.as_deref();
        }
        let id = match (session_header(&inner.headers), inner.body.get()) {
            (Some(id), _) => Some(id.to_owned()),
            (None, Some(body)) => sandbox_id_in(body),
            // The body may still tell; nothing is kept until then.
            (None, None) => return None,
        };
        inner.session_id.get_or_init(|| id).as_deref()
    }

    /// The same as [`session_id`](Self::session_id): on PPIO a session is a sandbox.
    pub fn sandbox_id(&self) -> Option<&str> {
        self.session_id()
    }

    /// All request headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// One request header, where it is present and printable ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// What middleware put into the request's extensions for the handler, such as the user it
    /// found behind a token.
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.extensions.get()
    }

    /// When the answer (the head, for a stream) is due; after it the caller gets a 504.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.asked_deadline.get().copied().or(self.0.deadline)
    }

    /// Whether nobody waits for the answer any more: the client went away or the deadline passed.
    ///
    /// An `async` handler is dropped in that case. Synchronous code cannot be stopped from outside,
    /// so a long loop asks here and returns.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Notes the body once it is read. Only the first one counts.
    pub(crate) fn set_body(&self, body: Bytes) {
        self.0.body.get_or_init(|| body);
    }

    pub(crate) fn tasks(&self) -> Option<&Tasks> {
        self.0.agent.as_ref().map(|agent| &agent.tasks)
    }

    /// Brings the deadline forward; never puts it off.
    pub(crate) fn set_earlier_deadline(&self, deadline: Instant) {
        if self.0.deadline.is_none_or(|current| deadline < current) {
            self.0.asked_deadline.get_or_init(|| deadline);
        }
    }

    pub(crate) fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::try_unwrap(self.0).unwrap_or_else(|shared| Inner {
            request_id: shared.request_id.clone(),
            session_id: shared.session_id.clone(),
            body: shared.body.clone(),
            headers: shared.headers.clone(),
            extensions: shared.extensions.clone(),
            deadline: shared.deadline,
            asked_deadline: shared.asked_deadline.clone(),
            cancelled: AtomicBool::new(shared.cancelled.load(Ordering::Relaxed)),
            agent: shared.agent.clone(),
        });
        change(&mut inner);
        Self(Arc::new(inner))
    }
}

/// What the server puts into a context.
pub(crate) struct Parts {
    pub(crate) request_id: RequestId,
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) deadline: Instant,
    pub(crate) agent: SharedAgent,
}

impl From<Parts> for RequestContext {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            request_id: parts.request_id,
            session_id: OnceLock::new(),
            body: OnceLock::new(),
            headers: parts.headers,
            extensions: parts.extensions,
            deadline: Some(parts.deadline),
            asked_deadline: OnceLock::new(),
            cancelled: AtomicBool::new(false),
            agent: Some(parts.agent),
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
        // Headers carry credentials; a context in a log line must not.
        f.debug_struct("RequestContext")
            .field("request_id", &self.request_id())
            .field("session_id", &self.session_id())
            .finish_non_exhaustive()
    }
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
    // Searching for the key is much cheaper than parsing a body that does not have it.
    memchr::memmem::find(body, br#""sandbox_id""#)?;
    serde_json::from_slice::<OnlySession>(body).ok()?.sandbox_id
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// The context of the request that the current code works for.
///
/// It is there in the entrypoint, in middleware, on the blocking threads that run synchronous
/// functions, in iterators and streams while they are polled, and in tasks started with
/// [`task::spawn`](crate::task::spawn).
#[derive(Debug, Clone, Copy)]
pub struct AgentRuntimeContext;

impl AgentRuntimeContext {
    /// The current context, or `None` outside of a request.
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
        CURRENT.scope(context, future)
    }

    /// Runs a closure with a context, for threads of the author's own.
    pub fn sync_scope<R>(context: RequestContext, closure: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(context, closure)
    }
}

/// The `timeout` a caller asked for in an `InvocationRequest`, in seconds.
pub(crate) fn requested_timeout(request: &dyn Any) -> Option<u64> {
    request
        .downcast_ref::<ppio_agent_protocol::InvocationRequest>()?
        .timeout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_in_the_body_only_at_the_top() {
        let find = |body: &str| sandbox_id_in(body.as_bytes());
        assert_eq!(find(r#"{"sandbox_id":"s1"}"#).as_deref(), Some("s1"));
        assert_eq!(find(r#"{"a":{"sandbox_id":"s1"}}"#), None);
        assert_eq!(find(r#"{"sandbox_id":7}"#), None);
        assert_eq!(find("[]"), None);
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
