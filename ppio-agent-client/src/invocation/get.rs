//! GET requests to paths of the agent.

use http::{HeaderValue, header};
use serde_json::Value;

use super::path_request::{check_path, unexpected_content_type};
use super::response::{AgentResponse, BodyFormat, body_format};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::Idempotency;

const OPERATION: &str = "get from agent";

impl SandboxSession {
    /// Returns the JSON at a path of the agent, such as `/openapi.json`. The path may have a query.
    ///
    /// # Errors
    /// [`Error::Invocation`] with the status if the response is not a success, except that 401 is
    /// [`Error::Authentication`] and 429 is [`Error::RateLimit`]; [`Error::Protocol`] if the
    /// response is not JSON, [`Error::ResponseTooLarge`] if the response exceeds the size limit,
    /// [`Error::Validation`] if the path does not begin with `/`, [`Error::SandboxOperation`] if
    /// the sandbox is paused, [`Error::SessionNotFound`] if the sandbox is gone,
    /// [`Error::Network`] and [`Error::Timeout`].
    ///
    /// ```no_run
    /// # use ppio_agent_client::{Error, SandboxSession};
    /// # async fn run(session: SandboxSession) -> Result<(), Error> {
    /// let document = session.get("/openapi.json").await?;
    /// println!("{}", document["info"]["version"]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        check_path(path)?;
        let call = ServiceCall::get(OPERATION, path)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .idempotency(Idempotency::Safe);
        let timeout = self.default_timeout();
        self.request(call, timeout, AgentResponse::into_plain_value)
            .await
    }
}

impl AgentResponse {
    /// Returns the body, which has to be JSON.
    async fn into_plain_value(self) -> Result<Value, Error> {
        match body_format(self.response.headers()) {
            BodyFormat::Json => {
                let response = self.read_plain_json(OPERATION).await?;
                Ok(response.result.unwrap_or_default())
            }
            BodyFormat::Other(_) | BodyFormat::EventStream | BodyFormat::JsonLines => Err(
                unexpected_content_type(OPERATION, self.response.headers(), "JSON"),
            ),
        }
    }
}
