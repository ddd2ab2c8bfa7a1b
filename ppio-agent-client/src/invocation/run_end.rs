//! The last event of a stream with ids.

use ppio_agent_protocol::RunStatus;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Error;

/// The name of the last event of a stream with ids.
pub(super) const END_EVENT: &str = "end";

/// How a run ended.
#[derive(Debug, Deserialize)]
pub(super) struct RunEnd {
    status: RunStatus,
    error: Option<String>,
    error_type: Option<String>,
    /// The value of a run that has no items. `Some(Null)` if it is null.
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    /// The HTTP status of a run that has answered with a response of its own.
    response_status: Option<u16>,
}

/// How a run has answered.
#[derive(Debug, PartialEq)]
pub(super) enum RunAnswer {
    Items,
    Value(Value),
    /// A response that the agent's function has built, which is read separately from the stream.
    Response,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl RunEnd {
    pub(super) fn from_value(value: Value) -> Result<Self, Error> {
        serde_json::from_value(value).map_err(|error| {
            let message = format!("the end of the stream is not as expected: {error}");
            Error::protocol("read stream", message)
        })
    }

    /// Returns how the run has answered, or an error if the run has not succeeded.
    pub(super) fn into_answer(self, sandbox_id: &str, run_id: &str) -> Result<RunAnswer, Error> {
        let (default_type, default_message) = match self.status {
            RunStatus::Success => {
                return Ok(match (self.result, self.response_status) {
                    (Some(value), _) => RunAnswer::Value(value),
                    (None, Some(_)) => RunAnswer::Response,
                    (None, None) => RunAnswer::Items,
                });
            }
            RunStatus::Error => (None, "the run failed"),
            RunStatus::Cancelled => (Some("Cancelled"), "the run was cancelled"),
            RunStatus::Interrupted => (
                Some("Interrupted"),
                "the run was interrupted: the agent ended before the run did",
            ),
            RunStatus::Running => {
                let message = "the stream has ended, but its run has not";
                return Err(Error::protocol("read stream", message));
            }
        };
        Err(Error::Invocation {
            sandbox_id: sandbox_id.to_owned(),
            status: None,
            error_type: self.error_type.or(default_type.map(str::to_owned)),
            message: self.error.unwrap_or_else(|| default_message.to_owned()),
            request_id: Some(run_id.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_end_of_a_run_is_an_answer_or_an_error() {
        let read = |end: Value| RunEnd::from_value(end)?.into_answer("sb", "r");
        for (end, answer) in [
            (json!({"status": "success", "items": 2}), RunAnswer::Items),
            (
                json!({"status": "success", "items": 0, "result": null}),
                RunAnswer::Value(Value::Null),
            ),
            (
                json!({"status": "success", "items": 0, "result": {"a": 1}, "new": 1}),
                RunAnswer::Value(json!({"a": 1})),
            ),
            (
                json!({"status": "success", "items": 0, "response_status": 200}),
                RunAnswer::Response,
            ),
        ] {
            assert_eq!(read(end).expect("a success"), answer);
        }
        for (end, kind, text) in [
            (
                json!({"status": "error", "error": "no model", "error_type": "ModelError"}),
                Some("ModelError"),
                "no model",
            ),
            (
                json!({"status": "cancelled"}),
                Some("Cancelled"),
                "cancelled",
            ),
            (
                json!({"status": "interrupted"}),
                Some("Interrupted"),
                "interrupted",
            ),
            (json!({"status": "error"}), None, "failed"),
        ] {
            let error = read(end).expect_err(text);
            let Error::Invocation {
                error_type,
                message,
                request_id,
                ..
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!(error_type.as_deref(), kind);
            assert!(message.contains(text), "{message}");
            assert_eq!(request_id.as_deref(), Some("r"));
        }
        for broken in [
            json!({}),
            json!("done"),
            json!({"status": "lost"}),
            json!({"status": "running"}),
        ] {
            assert!(matches!(read(broken), Err(Error::Protocol { .. })));
        }
    }
}
