//! An invocation: who is asked, what, and for how long.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use ppio_agent_protocol::headers::{AGENT_CORE_REQUEST_ID, REQUEST_ID};
use serde::Serialize;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::caller_headers::CallerHeaders;
use super::kind::AnswerKind;
use super::kind::sealed::Read;
use super::response::Exchange;
use super::{error_response, request_body, request_id};
use crate::core::ClientCore;
use crate::error::Error;
use crate::platform::Call;
use crate::session::{CreateSession, SandboxConfig, SandboxSession};
use crate::transport::{Deadline, Idempotency};

/// The headers that carry a trace from service to service (W3C Trace Context and Baggage).
const TRACE_HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// A call of an agent. Await it.
#[must_use = "nothing is sent until this is awaited"]
pub struct Invoke<K> {
    target: Target,
    payload: Result<Bytes, Error>,
    timeout: Option<Duration>,
    request_id: Option<String>,
    trace: HeaderMap,
    headers: CallerHeaders,
    kind: PhantomData<fn() -> K>,
}

enum Target {
    Session(SandboxSession),
    /// A sandbox by its id, to be found through this client.
    Sandbox(Arc<ClientCore>, String),
    New(CreateSession),
}

impl<K> Invoke<K> {
    pub(crate) fn in_session(session: SandboxSession, request: &impl Serialize) -> Self {
        Self::new(Target::Session(session), request)
    }

    pub(crate) fn in_new_session(create: CreateSession, request: &impl Serialize) -> Self {
        Self::new(Target::New(create), request)
    }

    fn new(target: Target, request: &impl Serialize) -> Self {
        Self {
            target,
            payload: request_body::encode(request),
            timeout: None,
            request_id: None,
            trace: HeaderMap::new(),
            headers: CallerHeaders::default(),
            kind: PhantomData,
        }
    }

    /// How long the agent may take, instead of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout); for a stream, until it begins.
    /// Making a session for the call has its own limits.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let answer = session.invoke("hi").timeout(Duration::from_secs(10)).await?;
    /// # Ok(()) });
    /// ```
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The id under which the agent logs the call, instead of a random one.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let answer = session.invoke("hi").request_id("order-42").await?;
    /// # Ok(()) });
    /// ```
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Passes on the trace that an incoming request belongs to: its `traceparent`, `tracestate`
    /// and `baggage`.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// # let incoming = http::HeaderMap::new();
    /// let answer = session.invoke("hi").trace_context(&incoming).await?;
    /// # Ok(()) });
    /// ```
    pub fn trace_context(mut self, incoming: &HeaderMap) -> Self {
        for name in TRACE_HEADERS {
            if let Some(value) = incoming.get(name) {
                self.trace
                    .insert(HeaderName::from_static(name), value.clone());
            }
        }
        self
    }

    /// A header of the caller's own, which takes the place of one that this library sets:
    /// `authorization` is the one an agent checks itself, and keeps the API key from it. Given
    /// twice, a header is sent twice.
    ///
    /// # Errors
    /// When awaited, [`Error::Validation`] for a header of the connection (`host`, `content-length`,
    /// `transfer-encoding`, `connection`, …) or of the route to the sandbox, or what is not a header.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// let answer = session.invoke("hi").header("authorization", "Bearer sesame").await?;
    /// # Ok(()) });
    /// ```
    pub fn header<V: TryInto<HeaderValue>>(mut self, name: impl AsRef<str>, value: V) -> Self {
        self.headers.add(name.as_ref(), value);
        self
    }

    /// Headers that were checked before.
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = CallerHeaders::from(headers);
        self
    }

    /// Asks in the session with this id instead of a new one, and leaves it open afterwards.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let answer = client.invoke_agent("tmpl_1", "and then?").session("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub fn session(mut self, sandbox_id: impl Into<String>) -> Self {
        let core = match &self.target {
            Target::Session(session) => session.client(),
            Target::Sandbox(core, _) => core,
            Target::New(create) => create.core(),
        };
        self.target = Target::Sandbox(Arc::clone(core), sandbox_id.into());
        self
    }

    /// Options of the sandbox, if one is made for this call.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// use ppio_agent_client::SandboxConfig;
    ///
    /// let sandbox = SandboxConfig { allow_internet_access: Some(false), ..SandboxConfig::default() };
    /// let answer = client.invoke_agent("tmpl_1", "hi").sandbox(sandbox).await?;
    /// # Ok(()) });
    /// ```
    pub fn sandbox(mut self, config: SandboxConfig) -> Self {
        if let Target::New(create) = self.target {
            self.target = Target::New(create.config(config));
        }
        self
    }
}

impl<K: AnswerKind + 'static> Invoke<K> {
    async fn run(self) -> Result<<K as Read>::Output, Error> {
        // Nothing is made for a request that cannot be sent.
        let payload = self.payload?;
        let headers = self.headers.into_map()?;
        let request_id = self.request_id.unwrap_or_else(request_id::random);
        let id_header = HeaderValue::from_str(&request_id).map_err(|_| {
            Error::validation("request_id", "holds characters that no header can carry")
        })?;
        let (session, ours) = match self.target {
            Target::Session(session) => (session, false),
            Target::New(create) => (create.await?, true),
            Target::Sandbox(core, id) => {
                // One that is open here is known; the answer tells if it is gone meanwhile.
                let session = match core.sessions.find(&id) {
                    Some(open) => open,
                    None => SandboxSession::attach(&core, core.platform.get_sandbox(&id).await?),
                };
                (session, false)
            }
        };
        let mut call = Call::post("invoke agent", "/invocations")
            .bytes("application/json", payload)
            .header(
                header::ACCEPT,
                HeaderValue::from_static(<K as Read>::ACCEPT),
            )
            .header(HeaderName::from_static(REQUEST_ID), id_header.clone())
            .header(HeaderName::from_static(AGENT_CORE_REQUEST_ID), id_header)
            .idempotency(Idempotency::IfUnsent);
        for (name, value) in &self.trace {
            call = call.header(name.clone(), value.clone());
        }
        let call = call.headers(headers);
        let timeout = self.timeout.unwrap_or_else(|| session.default_timeout());
        let span = tracing::info_span!(
            "invoke_agent",
            sandbox_id = session.sandbox_id(),
            template_id = session.template_id(),
            %request_id,
        );
        let asked = ask::<K>(session.clone(), call, Deadline::after(timeout), request_id);
        let outcome = asked.instrument(span).await;
        // A stream keeps the session open by holding a handle of its own.
        if ours
            && !<K as Read>::keeps_session(&outcome)
            && let Err(error) = session.close().await
        {
            tracing::warn!(%error, "the session of one call could not be closed");
        }
        outcome
    }
}

async fn ask<K: AnswerKind>(
    session: SandboxSession,
    call: Call,
    deadline: Deadline,
    request_id: String,
) -> Result<<K as Read>::Output, Error> {
    let started = Instant::now();
    session.touch();
    let outcome = async {
        let response = session.send(call, deadline).await?;
        let request_id = request_id::answered(response.headers()).map_or(request_id, str::to_owned);
        let exchange = Exchange {
            response,
            session: session.clone(),
            deadline,
            request_id,
            started,
        };
        if exchange.response.status().is_success() {
            K::read(exchange).await
        } else {
            Err(error_response::explain(exchange).await)
        }
    }
    .await
    .map_err(|error: Error| error.redacted(&session.auth()));
    session.touch();
    tracing::debug!(elapsed = ?started.elapsed(), ok = outcome.is_ok(), "agent answered");
    outcome
}

impl<K: AnswerKind + 'static> IntoFuture for Invoke<K> {
    type Output = Result<<K as Read>::Output, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<K> fmt::Debug for Invoke<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The payload is the caller's business, not the log's.
        f.debug_struct("Invoke")
            .field("timeout", &self.timeout)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
