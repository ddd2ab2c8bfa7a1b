//! Calls of the Connect protocol in JSON, with one response or a stream.

use http::{HeaderName, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::daemon::Envd;
use super::envelope;
use super::messages::ConnectStream;
use crate::error::Error;
use crate::platform::call::ServiceCall;
use crate::platform::error_response::{Subject, error_from_response};
use crate::transport::{Chunks, Deadline, Idempotency};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Returns a call of `procedure` with the protocol's version.
fn call(operation: &'static str, procedure: &str) -> ServiceCall {
    ServiceCall::post(operation, procedure).header(PROTOCOL_VERSION, HeaderValue::from_static("1"))
}

impl Envd {
    /// Makes a call with one response.
    pub(super) async fn unary<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &Value,
        idempotency: Idempotency,
    ) -> Result<T, Error> {
        let call = call(operation, procedure)
            .json(request)
            .idempotency(idempotency);
        let response = self.service.fetch(call).await;
        response.map_err(|error| error.with_operation(operation, &self.sandbox_id))
    }

    /// Makes a call whose response is a stream of messages.
    pub(super) async fn stream(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &Value,
    ) -> Result<ConnectStream, Error> {
        self.open(operation, procedure, request)
            .await
            .map_err(|error| error.with_operation(operation, &self.sandbox_id))
    }

    async fn open(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &Value,
    ) -> Result<ConnectStream, Error> {
        let body = envelope::wrap(request.to_string().as_bytes())
            .ok_or_else(|| Error::validation("request", "is larger than 4 GiB"))?;
        let call = call(operation, procedure)
            .bytes("application/connect+json", body)
            .header(
                HeaderName::from_static("keepalive-ping-interval"),
                HeaderValue::from(keepalive_seconds(self.idle_timeout.as_secs())),
            );
        let deadline = Deadline::after(self.service.timeout);
        let response = self.service.open(call, deadline).await?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::OK {
            let chunks = Chunks::new(body, self.idle_timeout);
            let limit = self.service.limit;
            return Ok(ConnectStream::new(
                operation,
                &self.sandbox_id,
                chunks,
                limit,
            ));
        }
        let start = deadline.run(operation, body.start(operation)).await?;
        let start = start.unwrap_or_default();
        Err(error_from_response(
            operation,
            &Subject::Nothing,
            &self.service.auth,
            head.status,
            &head.headers,
            &start,
        ))
    }
}

/// Returns the interval of keepalive messages in seconds: half of the idle timeout, from 1 to 50.
fn keepalive_seconds(idle_timeout: u64) -> u64 {
    (idle_timeout / 2).clamp(1, 50)
}
