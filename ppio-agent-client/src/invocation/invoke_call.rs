//! One invocation: its session, its request, and the reading of its response.

use std::time::Duration;

use ppio_agent_protocol::InvocationResponse;
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::options::{InvokeOptions, invocation_call};
use super::request_body::RequestBody;
use super::response::AgentResponse;
use super::{error_response, request_id};
use crate::deferred::Call;
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::{CreateSession, SandboxSession, Sessions};
use crate::transport::{Deadline, Idempotency};

pub(super) const ACCEPT_JSON: &str = "application/json";
pub(super) const ACCEPT_STREAM: &str =
    "text/event-stream, application/x-ndjson;q=0.9, application/json;q=0.5";
pub(super) const ACCEPT_ANY: &str = "application/json, text/event-stream, application/x-ndjson";

/// An invocation before it is sent.
pub(super) struct InvokeCall {
    /// The sessions of the client.
    pub(super) sessions: Sessions,
    pub(super) target: InvokeTarget,
    pub(super) body: Result<RequestBody, Error>,
    pub(super) options: InvokeOptions,
}

pub(super) enum InvokeTarget {
    Session(SandboxSession),
    /// A session by its id.
    SessionId(String),
    /// Boxed because its options are large.
    NewSession(Box<CreateSession>),
}

impl Call for InvokeCall {
    type Output = Result<InvocationResponse<Value>, Error>;

    async fn run(self) -> Self::Output {
        self.run_with(ACCEPT_JSON, AgentResponse::into_value, |_| false)
            .await
    }
}

impl InvokeCall {
    /// Sends the request, reads the response with `read`, and closes a session that was created
    /// for the call unless the value `keeps_session`.
    pub(super) async fn run_with<T, F>(
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
        let headers = options.into_headers(accept, &request_id, requested_timeout)?;
        let call = invocation_call(body.bytes, headers).idempotency(Idempotency::IfUnsent);
        let (session, is_temporary) = match self.target {
            InvokeTarget::Session(session) => (session, false),
            InvokeTarget::NewSession(create) => (create.await?, true),
            InvokeTarget::SessionId(id) => {
                // An open session needs no lookup; the response shows if it is gone.
                let session = if let Some(open) = self.sessions.find(&id) {
                    open
                } else {
                    let platform = &self.sessions.core().platform;
                    self.sessions.attach(platform.get_sandbox(&id).await?)
                };
                (session, false)
            }
        };
        let limit = timeout.unwrap_or_else(|| session.default_timeout());
        let requested = requested_timeout.map(Duration::from_secs);
        // The request may shorten the limit of the settings, not extend it.
        let deadline = Deadline::after(requested.map_or(limit, |requested| requested.min(limit)));
        // The limit of the settings is not one of a whole stream.
        let stream_deadline = requested.map(Deadline::after);
        let span = tracing::info_span!(
            "invoke_agent",
            sandbox_id = session.sandbox_id(),
            template_id = session.template_id(),
            %request_id,
        );
        let deadlines = (deadline, stream_deadline);
        let outcome = send(&session, call, deadlines, request_id, read)
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
    (deadline, stream_deadline): (Deadline, Option<Deadline>),
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
            stream_deadline,
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
