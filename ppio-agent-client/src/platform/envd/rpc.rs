//! Unary calls of the Connect protocol, in its JSON form.

use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::call::Call;
use super::Envd;
use crate::error::Error;
use crate::transport::Repeat;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// A call of `procedure`, marked as Connect's.
pub(super) fn call(operation: &'static str, procedure: &str) -> Call {
    Call::post(operation, procedure).header(PROTOCOL_VERSION, HeaderValue::from_static("1"))
}

impl Envd {
    /// One question, one answer.
    pub(super) async fn unary<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        procedure: &str,
        request: &(impl Serialize + ?Sized),
        repeat: Repeat,
    ) -> Result<T, Error> {
        let call = call(operation, procedure).json(request).repeat(repeat);
        let answer = self.service.fetch(call).await;
        answer.map_err(|error| error.during(operation, &self.sandbox_id))
    }
}
