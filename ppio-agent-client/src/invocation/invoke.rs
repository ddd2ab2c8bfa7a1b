//! The builder of an invocation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::InvocationResponse;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::invoke_call::{InvokeCall, InvokeTarget, ends_with_the_call};
use super::options::{ACCEPT_ANY, ACCEPT_JSON, ACCEPT_STREAM, ExpectedResponse, InvokeOptions};
use super::output::InvocationOutput;
use super::request_body;
use super::response::AgentResponse;
use super::run::Run;
use super::stream::InvocationStream;
use crate::deferred::Deferred;
use crate::error::Error;
use crate::session::{CreateSession, SandboxConfig, SandboxSession, Sessions};

/// An invocation of an agent.
///
/// | | returns |
/// | --- | --- |
/// | `.await` | the response with its envelope: result, duration, metadata |
/// | [`.json::<T>().await`](Self::json) | the result as a `T` |
/// | [`.stream().await`](Self::stream) | the items of a stream |
/// | [`.output().await`](Self::output) | a response or a stream, as the agent sends it |
/// | [`.detach().await`](Self::detach) | a [`Run`] that needs no connection |
///
/// The builder is a future, so it can be spawned, or awaited together with other futures:
///
/// ```
/// # ppio_test_support::client_example!(async |client| {
/// # let session = client.create_session("tmpl_1").await?;
/// use futures_util::future::try_join_all;
///
/// let calls = ["one", "two", "three"].map(|prompt| session.invoke(prompt));
/// for response in try_join_all(calls).await? {
///     println!("{:?}", response.result);
/// }
/// # Ok(()) });
/// ```
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "nothing is sent until this is awaited"]
pub struct Invoke {
    call: Deferred<InvokeCall>,
}

impl Invoke {
    pub(crate) fn in_session(session: SandboxSession, request: &impl Serialize) -> Self {
        Self::new(session.siblings(), InvokeTarget::Session(session), request)
    }

    pub(crate) fn in_new_session(
        sessions: Sessions,
        create: CreateSession,
        request: &impl Serialize,
    ) -> Self {
        let target = InvokeTarget::NewSession(Box::new(create));
        Self::new(sessions, target, request)
    }

    fn new(sessions: Sessions, target: InvokeTarget, request: &impl Serialize) -> Self {
        let call = InvokeCall {
            sessions,
            target,
            body: request_body::encode(request),
            options: InvokeOptions::default(),
        };
        Self {
            call: Deferred::new(call),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut InvokeCall)) -> Self {
        self.call.set(change);
        self
    }

    /// Sets the time limit of the response, in place of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout). For a stream, the limit applies
    /// until the stream begins. Creating a session for the call has limits of its own. An
    /// [`InvocationRequest::timeout`](crate::InvocationRequest::timeout) is sent to the agent,
    /// limits the whole stream, and replaces this time limit if it is shorter.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let response = session.invoke("hi").timeout(Duration::from_secs(10)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|call| call.options.timeout = Some(timeout))
    }

    /// Sets the id under which the agent logs the call, in place of the request's
    /// ([`InvocationRequest::request_id`](crate::InvocationRequest::request_id)) or a random id.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let response = session.invoke("hi").request_id("order-42").await?;
    /// # Ok(()) });
    /// ```
    pub fn request_id(self, id: impl Into<String>) -> Self {
        self.set(|call| call.options.request_id = Some(id.into()))
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
    pub fn trace_context(self, incoming: &HeaderMap) -> Self {
        self.set(|call| call.options.trace_context(incoming))
    }

    /// Adds a header, which replaces a header of this crate with the same name: an `authorization`
    /// header is for an agent that checks its callers, and is sent instead of the API key. A header
    /// that is added twice is sent twice.
    ///
    /// # Errors
    /// When awaited, [`Error::Validation`] for a malformed header, for a header of the connection
    /// (`host`, `content-length`, `transfer-encoding`, `connection`, …) and for a header that
    /// selects the sandbox.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let call = session.invoke("hi").header("authorization", "Bearer sesame");
    /// let response = call.await?;
    /// # Ok(()) });
    /// ```
    pub fn header<V: TryInto<HeaderValue>>(self, name: impl AsRef<str>, value: V) -> Self {
        self.set(|call| call.options.headers.add(name.as_ref(), value))
    }

    /// Invokes the agent of an existing session, which stays open afterwards, instead of creating
    /// one.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let response = client.invoke_agent("tmpl_1", "and then?").session("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub fn session(self, sandbox_id: impl Into<String>) -> Self {
        self.set(|call| call.target = InvokeTarget::SessionId(sandbox_id.into()))
    }

    /// Sets the options of the sandbox, if the call creates one.
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
    pub fn sandbox(self, config: SandboxConfig) -> Self {
        self.set(|call| {
            if let InvokeTarget::NewSession(create) = &mut call.target {
                create.set_config(config);
            }
        })
    }

    /// Lets the invocation outlive its connection. A stream whose connection breaks reconnects and
    /// continues after the last received item: no item is missing or repeated, even if the agent's
    /// sandbox was paused and resumed in the meantime. The stream fails once an outage has lasted
    /// for the [`timeout`](Self::timeout) of the call, and immediately after a permanent failure,
    /// such as status 404 (the agent no longer has the run) or 410 (the agent no longer has the
    /// next items).
    ///
    /// The run continues when the stream is dropped; [`Run::cancel`] stops the run, whose id is
    /// [`InvocationStream::request_id`]. An answer in one piece is fetched again after a broken
    /// connection even without this option; with the option, the agent continues however long the
    /// client is disconnected.
    ///
    /// # Errors
    /// When awaited, [`Error::Runtime`] if the agent does not keep runs; the agent is then not
    /// invoked.
    ///
    /// ```no_run
    /// # use ppio_agent_client::{Error, SandboxSession};
    /// # async fn run(session: SandboxSession) -> Result<(), Error> {
    /// let mut story = session.invoke("a long story").resumable().stream().await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn resumable(self) -> Self {
        self.set(|call| call.options.resumable = true)
    }

    pub(crate) fn with_options(self, options: InvokeOptions) -> Self {
        self.set(|call| call.options = options)
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
        let call = self.call.into_options();
        let response = ExpectedResponse::Answer(ACCEPT_JSON);
        Box::pin(call.run_with(response, AgentResponse::into_result, ends_with_the_call)).await
    }

    /// Invokes the agent and returns the items of its response. A response in one piece is a stream
    /// of one item.
    ///
    /// # Errors
    /// Those of [`invoke`](SandboxSession::invoke), until the stream begins. Later errors are items
    /// of the stream.
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
        let call = self.call.into_options();
        let response = ExpectedResponse::Answer(ACCEPT_STREAM);
        let keep = |stream: &mut InvocationStream, cancel| {
            stream.set_cancel(cancel);
            true
        };
        Box::pin(call.run_with(response, AgentResponse::into_stream, keep)).await
    }

    /// Invokes the agent and returns a response or a stream, depending on the content type that the
    /// agent sends.
    ///
    /// # Errors
    /// Those of [`invoke`](SandboxSession::invoke), until a stream begins. Later errors are items
    /// of the stream.
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
        let call = self.call.into_options();
        let response = ExpectedResponse::Answer(ACCEPT_ANY);
        let keep = |output: &mut InvocationOutput, cancel| match output {
            InvocationOutput::Stream(stream) => {
                stream.set_cancel(cancel);
                true
            }
            InvocationOutput::Value(response) => ends_with_the_call(response, cancel),
        };
        Box::pin(call.run_with(response, AgentResponse::into_output, keep)).await
    }

    /// Starts the invocation and returns its run, without waiting for the answer. The agent
    /// continues without a connection; the run is read, waited for and cancelled through its
    /// handle, or from another process with [`SandboxSession::run`].
    ///
    /// The handle keeps its session open. A session that was created for the call is closed when
    /// its last handle is dropped, and the run ends with the session: keep the sandbox with
    /// [`SandboxSession::detach`].
    ///
    /// # Errors
    /// Those of [`invoke`](SandboxSession::invoke), and [`Error::Runtime`] if the agent does not
    /// keep runs. The agent is then not invoked, unless it announced that it keeps runs and answers
    /// immediately nevertheless.
    ///
    /// ```no_run
    /// # use ppio_agent_client::{Error, AgentRuntimeClient};
    /// # async fn run(client: AgentRuntimeClient) -> Result<(), Error> {
    /// let run = client.invoke_agent("tmpl_1", "write a book").detach().await?;
    /// println!("session {}, run {}", run.session().sandbox_id(), run.id());
    /// run.session().clone().detach();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn detach(self) -> Result<Run, Error> {
        let call = self.call.into_options();
        let keep = |run: &mut Run, cancel| {
            ends_with_the_call(run, cancel);
            true
        };
        Box::pin(call.run_with(ExpectedResponse::Detached, AgentResponse::into_run, keep)).await
    }
}

impl Future for Invoke {
    type Output = Result<InvocationResponse<Value>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for Invoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The request may contain personal data, so it stays out of logs.
        let options = self.call.options().map(|call| &call.options);
        f.debug_struct("Invoke")
            .field("timeout", &options.and_then(|options| options.timeout))
            .field(
                "request_id",
                &options.and_then(|options| options.request_id.as_ref()),
            )
            .finish_non_exhaustive()
    }
}
