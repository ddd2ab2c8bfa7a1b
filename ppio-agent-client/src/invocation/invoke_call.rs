//! One invocation: its session, its request, and how its response is read.

use std::time::Duration;

use ppio_agent_protocol::InvocationResponse;
use serde_json::Value;
use tracing::{Instrument as _, field};

use super::agent_call::{AgentCall, Repeat};
use super::cancellation::CancelOnDrop;
use super::options::{ACCEPT_JSON, ExpectedResponse, InvokeOptions, invocation_call};
use super::request_body::InvocationBody;
use super::request_id;
use super::response::{AgentResponse, StreamOfRun};
use super::run_calls::require_runs;
#[cfg(feature = "otel")]
use super::trace_headers;
use crate::deferred::DeferredCall;
use crate::error::Error;
use crate::session::{CreateSession, SandboxSession, Sessions};
use crate::transport::Deadline;

/// An invocation before it is sent.
pub(super) struct InvokeCall {
    /// The sessions of the client.
    pub(super) sessions: Sessions,
    pub(super) target: InvokeTarget,
    pub(super) body: Result<InvocationBody, Error>,
    pub(super) options: InvokeOptions,
}

pub(super) enum InvokeTarget {
    Session(SandboxSession),
    /// A session by its id.
    SessionId(String),
    /// Boxed because its options are large.
    NewSession(Box<CreateSession>),
}

impl DeferredCall for InvokeCall {
    type Output = Result<InvocationResponse<Value>, Error>;

    async fn run(self) -> Self::Output {
        let response = ExpectedResponse::Answer(ACCEPT_JSON);
        self.run_with(response, AgentResponse::into_value, ends_with_the_call)
            .await
    }
}

/// The `keep` of [`InvokeCall::run_with`] for a value that needs neither the run nor the session.
pub(super) fn ends_with_the_call<T>(_: &mut T, mut cancel: CancelOnDrop) -> bool {
    cancel.disarm();
    false
}

impl InvokeCall {
    /// Sends the request and reads the response with `read`. `keep` takes the value and the guard
    /// that cancels its run, and stores or disarms the guard. It returns whether the value needs a
    /// session that was created for the call; otherwise that session is closed.
    pub(super) async fn run_with<T, F>(
        self,
        response: ExpectedResponse,
        read: impl Fn(AgentResponse) -> F,
        keep: impl FnOnce(&mut T, CancelOnDrop) -> bool,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        // No session is created for a request that cannot be sent.
        let body = self.body?;
        let requested_timeout = body.options.timeout()?;
        let timeout = self.options.timeout;
        let mut options = self.options;
        let resumable = options.resumable;
        let request_id = options.request_id.take().or(body.options.request_id);
        let is_random_id = request_id.is_none();
        let request_id = request_id.unwrap_or_else(request_id::random);
        let headers = options.into_headers(response, &request_id, requested_timeout)?;
        let call = invocation_call(body.bytes, headers.map);
        let (session, is_temporary) = match self.target {
            InvokeTarget::Session(session) => (session, false),
            InvokeTarget::NewSession(create) => (create.await?, true),
            InvokeTarget::SessionId(id) => {
                // An open session needs no lookup; the response shows whether its sandbox is gone.
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
        // The request may shorten the configured limit, not extend it.
        let deadline = Deadline::after(requested.map_or(limit, |requested| requested.min(limit)));
        // The configured limit does not apply to a whole stream.
        let stream_deadline = requested.map(Deadline::after);
        let span = tracing::info_span!(
            "invoke_agent",
            otel.kind = "client",
            otel.status_code = field::Empty,
            gen_ai.operation.name = "invoke_agent",
            gen_ai.conversation.id = session.sandbox_id(),
            session.id = session.sandbox_id(),
            "error.type" = field::Empty,
            sandbox_id = session.sandbox_id(),
            template_id = session.template_id(),
            %request_id,
        );
        // The run of a temporary session ends with the session, and an id that the caller chose may
        // belong to another run.
        let mut cancel = if headers.cancels_on_drop && is_random_id && !is_temporary {
            CancelOnDrop::new(&session, &request_id, headers.for_run.clone())
        } else {
            CancelOnDrop::disarmed()
        };
        cancel.hold(span.clone());
        let sending = async {
            // The caller's headers take precedence.
            #[cfg(feature = "otel")]
            let call = call.default_headers(trace_headers::current());
            if resumable || response == ExpectedResponse::Detached {
                require_runs(&session, "invoke agent", deadline).await?;
            }
            let call = AgentCall {
                session: &session,
                call,
                repeat: Repeat::IfKeysHonoured,
                policy: session.retry_policy(),
                deadline,
                stream_deadline,
                request_id,
                stream: resumable.then_some(StreamOfRun {
                    run_id: None,
                    last: 0,
                    limit,
                }),
                run_headers: headers.for_run,
            };
            call.send(read).await
        };
        let mut outcome = sending.instrument(span.clone()).await;
        if let Err(error) = &outcome {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", error.code());
        }
        let keeps_session = match &mut outcome {
            Ok(value) => keep(value, cancel),
            // Dropping `cancel` cancels the run, which the agent would continue.
            Err(Error::Timeout { .. }) => false,
            Err(_) => {
                cancel.disarm();
                false
            }
        };
        if is_temporary
            && !keeps_session
            && let Err(error) = session.close().await
        {
            let error = error.report();
            tracing::warn!(%error, "cannot close the session of one invocation");
        }
        outcome
    }
}
