//! Requests to paths of the agent other than `/invocations`.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::error_response::invocation_error;
use super::request_id;
use super::response::{AgentResponse, content_type};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::Deadline;

/// Returns an error if the path is not absolute.
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    if path.starts_with('/') {
        return Ok(());
    }
    let message = format!("{path:?} does not begin with `/`");
    Err(Error::validation("path", message))
}

/// Returns the error for a response whose content type is not one of `expected`.
pub(super) fn unexpected_content_type(
    operation: &str,
    headers: &HeaderMap,
    expected: &str,
) -> Error {
    let content_type = content_type(headers).unwrap_or_default();
    let message = format!("the response has the content type {content_type:?}, not {expected}");
    Error::protocol(operation, message)
}

impl SandboxSession {
    /// Sends the call with a request id, unless it has one, and reads the response with `read`; a
    /// status that is not a success is an error.
    pub(super) async fn request<T, F>(
        &self,
        call: ServiceCall,
        timeout: Duration,
        read: impl FnOnce(AgentResponse) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let request_id = request_id::random();
        let call = call.default_headers(request_id::headers(&request_id)?);
        let deadline = Deadline::after(timeout);
        let started_at = Instant::now();
        self.record_activity();
        let answered = async {
            let response = self.send(call, deadline).await?;
            let response =
                AgentResponse::of_request(response, self, deadline, request_id, started_at);
            if response.response.status().is_success() {
                read(response).await
            } else {
                Err(invocation_error(response).await)
            }
        };
        // Boxed because the future is large, and would be part of every caller's future.
        let answered = Box::pin(answered).await;
        self.record_activity();
        answered.map_err(|error| self.auth().redact_error(error))
    }
}
