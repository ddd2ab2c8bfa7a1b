//! The builder of an invocation.

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::InvocationResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::options::{InvokeOptions, invocation_call};
use super::request_body::{self, RequestBody};
use super::response::{AgentResponse, InvocationOutput};
use super::stream::InvocationStream;
use super::{error_response, request_id};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::{CreateSession, SandboxConfig, SandboxSession, Sessions};
use crate::transport::{Deadline, Idempotency};

const ACCEPT_JSON: &str = "application/json";
const ACCEPT_STREAM: &str = "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.5";
const ACCEPT_ANY: &str = "application/json, text/event-stream, application/x-ndjson";

/// An invocation of an agent.
///
/// | | returns |
/// | --- | --- |
/// | `.await` | the response with its envelope: result, duration, metadata |
/// | [`.json::<T>().await`](Self::json) | the result as a `T` |
/// | [`.stream().await`](Self::stream) | the items of a stream |
/// | [`.output().await`](Self::output) | a response or a stream, as the agent sends it |
#[must_use = "nothing is sent until this is awaited"]
pub struct Invoke {
    target: InvokeTarget,
    body: Result<RequestBody, Error>,
    options: InvokeOptions,
}

enum InvokeTarget {
    Session(SandboxSession),
    /// A session by its id.
    SessionId(Sessions, String),
    NewSession(CreateSession),
}

impl Invoke {
    pub(crate) fn in_session(session: SandboxSession, request: &impl Serialize) -> Self {
        Self::new(InvokeTarget::Session(session), request)
    }

    pub(crate) fn in_new_session(create: CreateSession, request: &impl Serialize) -> Self {
        Self::new(InvokeTarget::NewSession(create), request)
    }

    fn new(target: InvokeTarget, request: &impl Serialize) -> Self {
        Self {
            target,
            body: request_body::encode(request),
            options: InvokeOptions::default(),
        }
    }

    /// The time limit of the response, instead of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout); of a stream, until it begins.
    /// Creating a session for the call has limits of its own. A shorter
    /// [`InvocationRequest::timeout`](crate::InvocationRequest::timeout) counts instead.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let response = session.invoke("hi").timeout(Duration::from_secs(10)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// The id under which the agent logs the call, instead of the request's
    /// ([`InvocationRequest::request_id`](crate::InvocationRequest::request_id)) or a random one.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let response = session.invoke("hi").request_id("order-42").await?;
    /// # Ok(()) });
    /// ```
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.options.request_id = Some(id.into());
        self
    }

    /// Sends the `traceparent`, `tracestate` and `baggage` of an incoming request, so that the
    /// invocation belongs to its trace.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// # let incoming = ppio_agent_client::http::HeaderMap::new();
    /// let response = session.invoke("hi").trace_context(&incoming).await?;
    /// # Ok(()) });
    /// ```
    pub fn trace_context(mut self, incoming: &HeaderMap) -> Self {
        self.options.trace_context(incoming);
        self
    }

    /// Adds a header, in place of one of this crate with the same name: an `authorization` is for
    /// an agent that checks its callers, and is sent instead of the API key. A header that is added
    /// twice is sent twice.
    ///
    /// # Errors
    /// When awaited, [`Error::Validation`] for a malformed header, for one of the connection
    /// (`host`, `content-length`, `transfer-encoding`, `connection`, …) and for one of the route
    /// to the sandbox.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let call = session.invoke("hi").header("authorization", "Bearer sesame");
    /// let response = call.await?;
    /// # Ok(()) });
    /// ```
    pub fn header<V: TryInto<HeaderValue>>(mut self, name: impl AsRef<str>, value: V) -> Self {
        self.options.headers.add(name.as_ref(), value);
        self
    }

    /// Invokes the agent of an existing session instead of a new one, which stays open afterwards.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let response = client.invoke_agent("tmpl_1", "and then?").session("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub fn session(mut self, sandbox_id: impl Into<String>) -> Self {
        let sessions = match self.target {
            InvokeTarget::Session(session) => session.siblings(),
            InvokeTarget::SessionId(sessions, _) => sessions,
            InvokeTarget::NewSession(create) => create.sessions().clone(),
        };
        self.target = InvokeTarget::SessionId(sessions, sandbox_id.into());
        self
    }

    /// Options of the sandbox, if the call creates one.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// use ppio_agent_client::SandboxConfig;
    ///
    /// let offline = SandboxConfig {
    ///     allow_internet_access: Some(false),
    ///     ..SandboxConfig::default()
    /// };
    /// let response = client.invoke_agent("tmpl_1", "hi").sandbox(offline).await?;
    /// # Ok(()) });
    /// ```
    pub fn sandbox(mut self, config: SandboxConfig) -> Self {
        if let InvokeTarget::NewSession(create) = self.target {
            self.target = InvokeTarget::NewSession(create.config(config));
        }
        self
    }

    pub(crate) fn with_options(mut self, options: InvokeOptions) -> Self {
        self.options = options;
        self
    }

    /// Invokes the agent and returns its result as a `T`, without the envelope.
    ///
    /// # Errors
    /// Those of [`invoke`](SandboxSession::invoke), and [`Error::Runtime`] if the result is not a
    /// `T`.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// #[derive(serde::Deserialize)]
    /// struct Reply {
    ///     prompt: String,
    /// }
    /// let reply = session.invoke("what is the time?").json::<Reply>().await?;
    /// println!("{}", reply.prompt);
    /// # Ok(()) });
    /// ```
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        Box::pin(self.run(ACCEPT_JSON, AgentResponse::into_result, |_| false)).await
    }

    /// Invokes the agent and returns the items of its response. A response in one piece is a
    /// stream of one item.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let mut story = session.invoke("tell me a story").stream().await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn stream(self) -> Result<InvocationStream, Error> {
        Box::pin(self.run(ACCEPT_STREAM, AgentResponse::into_stream, |_| true)).await
    }

    /// Invokes the agent and returns a response or a stream, by the content type that it sends.
    ///
    /// ```
    /// use ppio_agent_client::InvocationOutput;
    ///
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// match session.invoke("hello").output().await? {
    ///     InvocationOutput::Value(response) => println!("{:?}", response.result),
    ///     InvocationOutput::Stream(mut items) => while let Some(item) = items.next().await {
    ///         println!("{}", item?);
    ///     },
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn output(self) -> Result<InvocationOutput, Error> {
        let is_stream = |output: &_| matches!(output, InvocationOutput::Stream(_));
        Box::pin(self.run(ACCEPT_ANY, AgentResponse::into_output, is_stream)).await
    }

    /// Sends the request, reads the response with `read`, and closes a session that was created
    /// for the call unless the value `keeps_session`.
    async fn run<T, F>(
        self,
        accept: &'static str,
        read: impl FnOnce(AgentResponse) -> F,
        keeps_session: impl FnOnce(&T) -> bool,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        // No session is created for a request that cannot be sent.
        let body = self.body?;
        let requested_timeout = body.options.timeout()?;
        let timeout = self.options.timeout;
        let mut options = self.options;
        let request_id = options.request_id.take().or(body.options.request_id);
        let request_id = request_id.unwrap_or_else(request_id::random);
        let headers = options.into_headers(accept, &request_id)?;
        let call = invocation_call(body.bytes, headers).idempotency(Idempotency::IfUnsent);
        let (session, is_temporary) = match self.target {
            InvokeTarget::Session(session) => (session, false),
            InvokeTarget::NewSession(create) => (create.await?, true),
            InvokeTarget::SessionId(sessions, id) => {
                // An open session needs no lookup; the response shows if it is gone.
                let session = match sessions.find(&id) {
                    Some(open) => open,
                    None => sessions.attach(sessions.core().platform.get_sandbox(&id).await?),
                };
                (session, false)
            }
        };
        let limit = timeout.unwrap_or_else(|| session.default_timeout());
        // The request may shorten the limit of the settings, not extend it.
        let limit = requested_timeout.map_or(limit, |requested| requested.min(limit));
        let deadline = Deadline::after(limit);
        let span = tracing::info_span!(
            "invoke_agent",
            sandbox_id = session.sandbox_id(),
            template_id = session.template_id(),
            %request_id,
        );
        let outcome = send(&session, call, deadline, request_id, read)
            .instrument(span)
            .await;
        if is_temporary
            && !outcome.as_ref().is_ok_and(keeps_session)
            && let Err(error) = session.close().await
        {
            let error = error.report();
            tracing::warn!(%error, "cannot close the session of one invocation");
        }
        outcome
    }
}

async fn send<T, F>(
    session: &SandboxSession,
    call: ServiceCall,
    deadline: Deadline,
    request_id: String,
    read: impl FnOnce(AgentResponse) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let started_at = Instant::now();
    session.record_activity();
    let outcome = async {
        let response = session.send(call, deadline).await?;
        let response = AgentResponse {
            request_id: request_id::of_response(response.headers())
                .map_or(request_id, str::to_owned),
            response,
            session: session.clone(),
            deadline,
            started_at,
        };
        if response.response.status().is_success() {
            read(response).await
        } else {
            Err(error_response::invocation_error(response).await)
        }
    }
    .await
    .map_err(|error: Error| session.auth().redact_error(error));
    session.record_activity();
    tracing::debug!(elapsed = ?started_at.elapsed(), ok = outcome.is_ok(), "agent responded");
    outcome
}

impl IntoFuture for Invoke {
    type Output = Result<InvocationResponse<Value>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(ACCEPT_JSON, AgentResponse::into_value, |_| false))
    }
}

impl fmt::Debug for Invoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The request may contain personal data, so it stays out of logs.
        f.debug_struct("Invoke")
            .field("timeout", &self.options.timeout)
            .field("request_id", &self.options.request_id)
            .finish_non_exhaustive()
    }
}
