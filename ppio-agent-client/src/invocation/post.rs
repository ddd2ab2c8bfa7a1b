//! The builder of a request to a path of the agent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, header};
use serde::Serialize;

use super::caller_headers::CallerHeaders;
use super::items::ItemReader;
use super::options::ACCEPT_ANY;
use super::output::InvocationOutput;
use super::path_request::{check_path, unexpected_content_type};
use super::response::{AgentResponse, BodyFormat, body_format};
use super::stream::InvocationStream;
use crate::deferred::{Deferred, DeferredCall};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::{Chunks, Idempotency};

const OPERATION: &str = "post to agent";

/// Sends a request to a path of the agent when awaited; see [`SandboxSession::post`].
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "nothing is sent until this is awaited"]
pub struct Post {
    call: Deferred<PostOptions>,
}

struct PostOptions {
    session: SandboxSession,
    path: String,
    body: Result<Vec<u8>, Error>,
    timeout: Option<Duration>,
    headers: CallerHeaders,
}

impl Post {
    fn set(mut self, change: impl FnOnce(&mut PostOptions)) -> Self {
        self.call.set(change);
        self
    }

    /// Adds a header; see [`Invoke::header`](crate::Invoke::header).
    pub fn header<V: TryInto<HeaderValue>>(self, name: impl AsRef<str>, value: V) -> Self {
        self.set(|options| options.headers.add(name.as_ref(), value))
    }

    /// Sets the time limit of the response, in place of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout). For a stream, the limit applies
    /// until the stream begins.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.timeout = Some(timeout))
    }
}

impl SandboxSession {
    /// Sends `body` as JSON to a path of the agent, for the protocols that an agent serves besides
    /// `/invocations`. The path may have a query.
    ///
    /// The response is JSON, server-sent events or lines of JSON. The contents are not interpreted:
    /// the result is the whole JSON, and the items are the data of the events, including events
    /// that report an error. Data that is not JSON is a string.
    ///
    /// A request that may have reached the agent is not sent again. Dropping the stream closes the
    /// connection.
    ///
    /// # Errors
    /// When awaited, [`Error::Invocation`] with the status if the response is not a success, and
    /// with the `code` of the protocol's error as its type, except that 401 is
    /// [`Error::Authentication`] and 429 is [`Error::RateLimit`]; [`Error::Protocol`] if the
    /// response has another format, [`Error::ResponseTooLarge`] if the response exceeds the size
    /// limit, [`Error::Validation`] if the path does not begin with `/`, a header is invalid or
    /// `body` cannot be serialized, [`Error::SandboxOperation`] if the sandbox is paused,
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::Network`] and
    /// [`Error::Timeout`].
    ///
    /// ```no_run
    /// # use ppio_agent_client::{Error, SandboxSession};
    /// # async fn run(session: SandboxSession) -> Result<(), Error> {
    /// use ppio_agent_client::InvocationOutput;
    /// use serde_json::json;
    ///
    /// let chat = json!({
    ///     "model": "agent",
    ///     "stream": true,
    ///     "messages": [{"role": "user", "content": "hello"}],
    /// });
    /// if let InvocationOutput::Stream(mut chunks) = session.post("/v1/chat/completions", chat).await? {
    ///     while let Some(chunk) = chunks.next().await {
    ///         println!("{}", chunk?["choices"][0]["delta"]["content"]);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn post(&self, path: impl Into<String>, body: impl Serialize) -> Post {
        let body =
            serde_json::to_vec(&body).map_err(|error| Error::validation("body", error.to_string()));
        let options = PostOptions {
            session: self.clone(),
            path: path.into(),
            body,
            timeout: None,
            headers: CallerHeaders::default(),
        };
        Post {
            call: Deferred::new(options),
        }
    }
}

impl DeferredCall for PostOptions {
    type Output = Result<InvocationOutput, Error>;

    async fn run(self) -> Self::Output {
        let Self {
            session,
            path,
            body,
            timeout,
            headers,
        } = self;
        check_path(&path)?;
        let call = ServiceCall::post(OPERATION, path)
            .header(header::ACCEPT, HeaderValue::from_static(ACCEPT_ANY))
            .bytes("application/json", body?)
            .headers(headers.into_map()?)
            .idempotency(Idempotency::IfUnsent);
        let timeout = timeout.unwrap_or_else(|| session.default_timeout());
        session
            .request(call, timeout, AgentResponse::into_raw_output)
            .await
    }
}

impl AgentResponse {
    /// Returns the response as a value or a stream, depending on its content type, without
    /// interpreting its contents.
    async fn into_raw_output(self) -> Result<InvocationOutput, Error> {
        let reader = match body_format(self.response.headers()) {
            BodyFormat::Json => {
                return self
                    .read_plain_json(OPERATION)
                    .await
                    .map(InvocationOutput::Value);
            }
            BodyFormat::EventStream => ItemReader::events,
            BodyFormat::JsonLines => ItemReader::lines,
            BodyFormat::Other(_) => {
                let headers = self.response.headers();
                let expected = "JSON, an event stream or lines of JSON";
                return Err(unexpected_content_type(OPERATION, headers, expected));
            }
        };
        let idle_timeout = self.session.stream_idle_timeout();
        let chunks = Chunks::new(self.response.into_body(), idle_timeout);
        let items = reader(chunks, self.session.response_limit());
        let stream = InvocationStream::new(items, self.session, self.request_id);
        Ok(InvocationOutput::Stream(stream.with_raw_items()))
    }
}

impl Future for Post {
    type Output = Result<InvocationOutput, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Body and headers may contain personal data and secrets, so they stay out of logs.
        let mut output = f.debug_struct("Post");
        if let Some(options) = self.call.options() {
            output
                .field("path", &options.path)
                .field("session", &options.session)
                .field("timeout", &options.timeout);
        }
        output.finish_non_exhaustive()
    }
}
