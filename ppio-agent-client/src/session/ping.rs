//! Requests to the agent of a session, and its health.

use std::time::Duration;

use http::{HeaderValue, Response, header};
use ppio_agent_protocol::PingResponse;

use super::sandbox_session::SandboxSession;
use crate::error::Error;
use crate::platform::{SandboxState, ServiceCall, read_json};
use crate::transport::{BodyLimit, Deadline, Idempotency, ResponseBody};

/// The time limit of the lookup of a sandbox's state; after it, the agent's response determines the
/// error.
const STATE_LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit of the ping that determines whether the agent honours idempotency keys.
const ABILITY_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The size limit of the response to a ping, which has about 100 bytes.
const MAX_PING_RESPONSE: usize = 64 * 1024;

impl SandboxSession {
    /// Pings the agent and returns its health.
    ///
    /// # Errors
    /// [`Error::Invocation`] if the agent responds that it is unhealthy, [`Error::Authentication`],
    /// [`Error::QuotaExceeded`] or [`Error::RateLimit`] if it responds with status 401, 403 or 429,
    /// [`Error::Protocol`] if its response is invalid, [`Error::ResponseTooLarge`] if its response
    /// is larger than 64 KiB, [`Error::Network`] or [`Error::Timeout`] if it does not respond,
    /// [`Error::SandboxOperation`] if the sandbox is paused, [`Error::SessionNotFound`] if the
    /// sandbox is gone.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{:?}", session.ping().await?.status);
    /// # Ok(()) });
    /// ```
    pub async fn ping(&self) -> Result<PingResponse, Error> {
        self.check_open()?;
        let deadline = Deadline::after(self.core.agent.timeout);
        let ping = self.ping_by(deadline, Idempotency::IfUnsent).await;
        let Err(Error::Invocation {
            status: Some(status),
            ..
        }) = ping
        else {
            return ping;
        };
        match self.not_running(status, "ping", deadline).await {
            Some(error) => Err(error),
            None => ping,
        }
    }

    /// If the status of a response may mean that the sandbox is not running, looks up the state of
    /// the sandbox on the platform. Returns the error for a sandbox that is paused or gone.
    pub(crate) async fn not_running(
        &self,
        status: u16,
        operation: &str,
        deadline: Deadline,
    ) -> Option<Error> {
        if !matches!(status, 404 | 502) {
            return None;
        }
        let info = deadline
            .at_most(STATE_LOOKUP_TIMEOUT)
            .run("get sandbox", self.info())
            .await;
        match info.and_then(|info| info).map(|info| info.state) {
            Err(gone @ Error::SessionNotFound { .. }) => Some(gone),
            Ok(SandboxState::Paused) => {
                let paused = Error::Runtime {
                    operation: format!("{operation} agent"),
                    status: Some(status),
                    message: "the sandbox is paused; call resume() first".to_owned(),
                };
                let operation = format!("{operation} the agent of");
                Some(paused.with_operation(&operation, self.sandbox_id()))
            }
            // The sandbox is running, or its state is unknown: the agent's response determines the
            // error.
            Ok(_) | Err(_) => None,
        }
    }

    /// Sends a request to the agent and returns its response with any status.
    pub(crate) async fn send(
        &self,
        call: ServiceCall,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        self.check_open()?;
        let call = call.default_headers(self.core.credentials());
        self.core.agent.open(call, deadline).await
    }

    /// Whether the agent honours idempotency keys, and therefore keeps runs. Pings the agent if no
    /// response has shown yet whether the agent does so.
    ///
    /// # Errors
    /// The error of the ping.
    pub(crate) async fn honours_keys(&self, deadline: Deadline) -> Result<bool, Error> {
        if self.core.agent.key_support.get().is_none() {
            let deadline = deadline.at_most(ABILITY_PING_TIMEOUT);
            self.ping_by(deadline, Idempotency::IfUnsent).await?;
        }
        Ok(self.is_known_to_honour_keys())
    }

    /// Whether a response of the agent has announced that it honours idempotency keys.
    pub(crate) fn is_known_to_honour_keys(&self) -> bool {
        self.core.agent.key_support.is_known()
    }

    /// The current agent instance, as the `PPIO-Instance` of a request that is sent again.
    pub(crate) fn agent_instance(&self) -> HeaderValue {
        self.core.agent.key_support.instance()
    }

    pub(super) async fn ping_by(
        &self,
        deadline: Deadline,
        idempotency: Idempotency,
    ) -> Result<PingResponse, Error> {
        let call = ServiceCall::get("ping agent", "/ping")
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .default_headers(self.core.credentials())
            .limit(BodyLimit::fixed(MAX_PING_RESPONSE))
            .idempotency(idempotency);
        let failure = match self.core.agent.send_typed(call, deadline).await {
            Ok(response) => {
                self.core.agent.key_support.set_by(response.headers());
                match read_json("ping agent", response.body()) {
                    Ok(ping) => return Ok(ping),
                    Err(error) => (error, None),
                }
            }
            Err(failure) => failure,
        };
        let error = match failure {
            (
                Error::Runtime {
                    status, message, ..
                },
                error_type,
            ) => Error::Invocation {
                sandbox_id: self.sandbox_id().to_owned(),
                status,
                error_type,
                message,
                request_id: None,
            },
            (error, _) => error,
        };
        Err(self.auth().redact_error(error))
    }
}
