//! An envelope that the agent returned, and the fields that the runtime adds to it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::error::Error;
use super::json::{RESULT, seconds, to_bytes};

/// The fields of an [`InvocationResponse`](ppio_agent_protocol::InvocationResponse) that an agent
/// returned.
#[derive(Debug)]
pub struct AgentEnvelope {
    /// The result as JSON.
    result: Vec<u8>,
    /// The other fields.
    fields: Map<String, Value>,
}

impl AgentEnvelope {
    pub(super) fn new(result: Vec<u8>, fields: Map<String, Value>) -> Self {
        Self { result, fields }
    }

    /// Returns the error of an envelope with the status `error`; `None` for any other status.
    pub(crate) fn failure(&self) -> Option<Error> {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        if text("status") != Some("error") {
            return None;
        }
        let error = Error::internal(text("error").unwrap_or(
            "the agent returned a response with the status `error` and without an error text",
        ));
        Some(match text("error_type") {
            Some(error_type) => error.with_type(error_type.to_owned()),
            None => error,
        })
    }

    /// Returns the body of the envelope, and adds the times and the request id if the agent did not
    /// set them.
    pub(crate) fn into_body(
        self,
        duration: Duration,
        queue_time: Duration,
        request_id: &str,
    ) -> Bytes {
        let Self { result, mut fields } = self;
        // `InvocationResponse::success` sets the duration to zero.
        if fields.get("duration").and_then(Value::as_f64) == Some(0.0) {
            fields.remove("duration");
        }
        let processing_time = duration.saturating_sub(queue_time);
        for (name, time) in [
            ("duration", duration),
            ("queue_time", queue_time),
            ("processing_time", processing_time),
        ] {
            fields.entry(name).or_insert_with(|| seconds(time).into());
        }
        let metadata = fields.entry("metadata").or_insert(Value::Null);
        if metadata.is_null() {
            *metadata = Map::new().into();
        }
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.entry("request_id").or_insert(request_id.into());
        }
        let mut body = RESULT.to_vec();
        body.extend(result);
        for (name, value) in &fields {
            body.push(b',');
            body.extend(to_bytes(name));
            body.push(b':');
            body.extend(to_bytes(value));
        }
        body.push(b'}');
        body.into()
    }

    /// Returns a copy of the result.
    pub(crate) fn result(&self) -> Bytes {
        Bytes::copy_from_slice(&self.result)
    }

    /// Returns the result without the other fields.
    pub(crate) fn into_result(self) -> Bytes {
        self.result.into()
    }
}

#[cfg(test)]
mod tests {
    use ppio_agent_protocol::InvocationResponse;
    use serde::Serialize;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::super::requested_format::RequestedFormat;
    use super::super::written_value::WrittenValue;
    use super::*;
    use crate::telemetry::RequestTrace;

    fn envelope<T: Serialize>(response: &InvocationResponse<T>) -> AgentEnvelope {
        match WrittenValue::of(
            response,
            RequestedFormat::Unspecified,
            &RequestTrace::default(),
        )
        .unwrap()
        {
            WrittenValue::Envelope(envelope) => *envelope,
            WrittenValue::Value(_) => panic!("a value"),
        }
    }

    fn body(envelope: AgentEnvelope) -> Value {
        let (duration, queue_time) = (Duration::from_millis(1500), Duration::from_millis(500));
        serde_json::from_slice(&envelope.into_body(duration, queue_time, "r-1")).unwrap()
    }

    #[test]
    fn missing_fields_are_added() {
        assert_eq!(
            body(envelope(&InvocationResponse::success("hi"))),
            json!({
                "result": "hi", "status": "success", "duration": 1.5, "error": null,
                "metadata": {"request_id": "r-1"}, "queue_time": 0.5, "processing_time": 1.0,
            })
        );
    }

    #[test]
    fn fields_that_the_agent_sets_are_kept() {
        let set = json!({
            "result": {"status": "completed"}, "status": "partial", "duration": 12.5,
            "metadata": {"request_id": "own", "model": "m"}, "error": "warning",
            "error_type": "T", "queue_time": 0.0, "processing_time": 3.25, "tokens_used": 42,
            "cost": 0.002, "mi\"ne": [1],
        });
        let response: InvocationResponse = serde_json::from_value(set.clone()).unwrap();
        assert!(envelope(&response).failure().is_none());
        assert_eq!(body(envelope(&response)), set);
    }

    #[test]
    fn a_further_field_does_not_replace_a_defined_one() {
        let mut response = InvocationResponse::success("hi");
        for name in ["result", "status", "duration", "tokens_used", "mine"] {
            response.extra.insert(name.to_owned(), json!("error"));
        }
        assert!(envelope(&response).failure().is_none());
        let body = body(envelope(&response));
        assert_eq!(
            (&body["result"], &body["mine"]),
            (&json!("hi"), &json!("error"))
        );
        assert_eq!(body.get("tokens_used"), None);
    }

    #[test]
    fn a_result_keeps_its_text() {
        let text = r#"{"b":1, "a":[0.10],"b":123456789012345678901234567890}"#;
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        let response = InvocationResponse::success(raw);
        assert_eq!(envelope(&response).into_result(), text);
        let body = envelope(&response).into_body(Duration::ZERO, Duration::ZERO, "r");
        let body = String::from_utf8(body.into()).unwrap();
        assert!(body.contains(text), "{body}");
    }

    #[test]
    fn the_status_error_is_an_error() {
        let mut response = InvocationResponse::<u8>::failure("no such city");
        let error = envelope(&response).failure().unwrap();
        assert_eq!(
            (error.status().as_u16(), error.error_type()),
            (500, "AgentError")
        );
        assert_eq!(error.message(), "no such city");
        response.error_type = Some("CityError".to_owned());
        response.error = None;
        let error = envelope(&response).failure().unwrap();
        assert_eq!(error.error_type(), "CityError");
        assert!(error.message().contains("status `error`"), "{error}");
    }
}
