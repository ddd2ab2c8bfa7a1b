//! The agent's health, and requests to the agent.

use http::{HeaderValue, Response, header};
use ppio_agent_protocol::PingResponse;

use super::sandbox_session::SandboxSession;
use crate::error::Error;
use crate::platform::Call;
use crate::transport::{BodyLimit, Deadline, Idempotency, ResponseBody};

/// The most that is read of the answer to a ping, which has a hundred bytes.
const PING_ANSWER: usize = 64 * 1024;

impl SandboxSession {
    /// Asks the agent how it is.
    ///
    /// # Errors
    /// [`Error::Invocation`] if it answers that it is not well, [`Error::Network`] if it does not
    /// answer.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{:?}", session.ping().await?.status);
    /// # Ok(()) });
    /// ```
    pub async fn ping(&self) -> Result<PingResponse, Error> {
        self.open()?;
        let deadline = Deadline::after(self.core.agent.timeout);
        self.ping_by(deadline, Idempotency::IfUnsent).await
    }

    /// Sends a call to the agent; its answer may be no success.
    pub(crate) async fn send(
        &self,
        call: Call,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        self.open()?;
        let call = call.default_headers(self.core.credentials());
        self.core.agent.open(call, deadline).await
    }

    pub(super) async fn ping_by(
        &self,
        deadline: Deadline,
        idempotency: Idempotency,
    ) -> Result<PingResponse, Error> {
        let call = Call::get("ping agent", "/ping")
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .default_headers(self.core.credentials())
            .limit(BodyLimit::fixed(PING_ANSWER))
            .idempotency(idempotency);
        let answer = self.core.agent.send_by(call, deadline).await;
        let answer = answer.map_err(|error| error.redacted(&self.auth()));
        match answer {
            Ok(response) => crate::platform::json("ping agent", response.body())
                .map_err(|error| error.redacted(&self.auth())),
            Err(Error::Runtime {
                status, message, ..
            }) => Err(Error::Invocation {
                sandbox_id: self.sandbox_id().to_owned(),
                status,
                error_type: None,
                message,
                request_id: None,
            }),
            Err(error) => Err(error),
        }
    }
}
