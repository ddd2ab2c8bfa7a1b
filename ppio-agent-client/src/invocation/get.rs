//! Reading a path of the agent.

use http::{HeaderValue, header};
use serde_json::Value;
use tokio::time::Instant;

use super::error_response::invocation_error;
use super::request_id;
use super::response::{AgentResponse, BodyFormat, body_format, unexpected_format};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::{Deadline, Idempotency};

const OPERATION: &str = "get from agent";

impl SandboxSession {
    /// The JSON at a path of the agent, as of `/openapi.json`. The path may have a query.
    ///
    /// # Errors
    /// [`Error::Invocation`] with the status if the response is not a success, [`Error::Protocol`] if
    /// it is not JSON, [`Error::SessionNotFound`] if the sandbox is gone, [`Error::Network`] and
    /// [`Error::Timeout`].
    ///
    /// ```no_run
    /// # async fn run(session: ppio_agent_client::SandboxSession) -> Result<(), ppio_agent_client::Error> {
    /// let document = session.get("/openapi.json").await?;
    /// println!("{}", document["info"]["version"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        if !path.starts_with('/') {
            let message = format!("{path:?} does not begin with `/`");
            return Err(Error::validation("path", message));
        }
        let request_id = request_id::random();
        let call = ServiceCall::get(OPERATION, path)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .headers(request_id::headers(&request_id)?)
            .idempotency(Idempotency::Safe);
        let deadline = Deadline::after(self.default_timeout());
        let started_at = Instant::now();
        self.record_activity();
        let answered = async {
            let response = self.send(call, deadline).await?;
            let response =
                AgentResponse::of_request(response, self, deadline, request_id, started_at);
            if !response.response.status().is_success() {
                return Err(invocation_error(response).await);
            }
            match body_format(response.response.headers()) {
                BodyFormat::Json => response.read_plain_json().await,
                BodyFormat::Other(content_type) => Err(unexpected_format(&content_type)),
                BodyFormat::EventStream => Err(unexpected_format("text/event-stream")),
                BodyFormat::JsonLines => Err(unexpected_format("lines of JSON")),
            }
        };
        // Boxed because the future is large, and would be part of every caller's.
        let answered = Box::pin(answered).await;
        self.record_activity();
        match answered {
            Ok(response) => Ok(response.result.unwrap_or_default()),
            Err(error) => Err(self.auth().redact_error(error)),
        }
    }
}
