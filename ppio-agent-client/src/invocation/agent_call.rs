//! A call to the agent of a session, with its retries.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use ppio_agent_protocol::headers::PPIO_INSTANCE;
use tokio::time::Instant;

use super::error_response::invocation_error;
use super::request_id;
use super::response::{AgentResponse, StreamOfRun};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::{
    Deadline, Idempotency, Retry, RetryPolicy, after_failure, names_keys, retry_after,
};

/// When a call that may have reached the agent is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Sending the call twice has the same effect as sending it once.
    Always,
    /// Only if the agent honours the idempotency key of the call.
    IfKeysHonoured,
}

/// A call before it is sent.
pub(super) struct AgentCall<'a> {
    pub(super) session: &'a SandboxSession,
    pub(super) call: ServiceCall,
    pub(super) repeat: Repeat,
    pub(super) policy: RetryPolicy,
    pub(super) deadline: Deadline,
    /// The time by which a stream has to end.
    pub(super) stream_deadline: Option<Deadline>,
    pub(super) request_id: String,
    /// What is needed to resume a stream with ids, if the call requests one.
    pub(super) stream: Option<StreamOfRun>,
    /// The caller's headers for later calls about the run of this call.
    pub(super) run_headers: HeaderMap,
}

impl AgentCall<'_> {
    /// Sends the call and reads the response with `read`; a status that is not a success is an
    /// error.
    pub(super) async fn send<T, F>(self, read: impl Fn(AgentResponse) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let started_at = Instant::now();
        self.session.record_activity();
        let first_sent_to = OnceLock::new();
        let attempt = || self.attempt(&read, started_at, &first_sent_to);
        // Boxed because the future is large, and would be part of every caller's future.
        let outcome = Box::pin(self.policy.run(self.deadline, attempt)).await;
        self.session.record_activity();
        tracing::debug!(elapsed = ?started_at.elapsed(), ok = outcome.is_ok(), "agent responded");
        outcome.map_err(|error| self.session.auth().redact_error(error))
    }

    /// Makes one attempt. `first_sent_to` is the agent instance of the first attempt that may have
    /// arrived. An agent that has restarted since then refuses to run the call a second time.
    async fn attempt<T, F>(
        &self,
        read: &impl Fn(AgentResponse) -> F,
        started_at: Instant,
        first_sent_to: &OnceLock<HeaderValue>,
    ) -> (Result<T, Error>, Retry)
    where
        F: Future<Output = Result<T, Error>>,
    {
        let name = HeaderName::from_static(PPIO_INSTANCE);
        let mut call = self.call.clone().idempotency(Idempotency::Never);
        if self.repeat == Repeat::IfKeysHonoured
            && let Some(instance) = first_sent_to.get()
        {
            call = call.default_headers(HeaderMap::from_iter([(name.clone(), instance.clone())]));
        }
        // Read before the call is sent: after that, the instance may be that of a restarted agent.
        let instance = self.session.agent_instance();
        let response = match self.session.send(call, self.deadline).await {
            Ok(response) => response,
            Err(error) => return self.failed(error, instance, first_sent_to).await,
        };
        let (status, headers) = (response.status(), response.headers());
        // Whether a server between client and agent sent the response, not the agent.
        let is_gateway_failure = matches!(status.as_u16(), 502..=504) && !names_keys(headers);
        let requested_pause = retry_after(headers);
        let instance = headers.get(name).cloned().unwrap_or(instance);
        let response = AgentResponse {
            request_id: request_id::of_response(headers)
                .unwrap_or(&self.request_id)
                .to_owned(),
            response,
            session: self.session.clone(),
            deadline: self.deadline,
            stream_deadline: self.stream_deadline,
            started_at,
            stream: self.stream.clone(),
            run_headers: self.run_headers.clone(),
        };
        if status.is_success() {
            return match read(response).await {
                Ok(value) => (Ok(value), Retry::No),
                Err(error) => self.failed(error, instance, first_sent_to).await,
            };
        }
        let error = invocation_error(response).await;
        // An error other than `Invocation` means that the sandbox is not running.
        let is_temporary = is_gateway_failure && matches!(error, Error::Invocation { .. });
        if is_temporary && self.may_repeat().await {
            first_sent_to.get_or_init(|| instance);
            return (Err(error), Retry::After(requested_pause));
        }
        (Err(error), Retry::No)
    }

    async fn failed<T>(
        &self,
        error: Error,
        instance: HeaderValue,
        first_sent_to: &OnceLock<HeaderValue>,
    ) -> (Result<T, Error>, Retry) {
        let may_have_arrived =
            matches!(&error, Error::Network { source, .. } if source.may_have_arrived());
        if may_have_arrived {
            first_sent_to.get_or_init(|| instance);
        }
        let idempotency = if may_have_arrived && self.may_repeat().await {
            Idempotency::Safe
        } else {
            Idempotency::IfUnsent
        };
        let retry = after_failure(idempotency, &error);
        (Err(error), retry)
    }

    async fn may_repeat(&self) -> bool {
        if self.policy.max_retries == 0 {
            return false;
        }
        match self.repeat {
            Repeat::Always => true,
            // An agent that does not answer a ping either is not sent the call again.
            Repeat::IfKeysHonoured => self
                .session
                .honours_keys(self.deadline)
                .await
                .unwrap_or(false),
        }
    }
}
