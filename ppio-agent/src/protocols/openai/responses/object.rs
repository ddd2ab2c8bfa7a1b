//! The response object.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kept::PREFIX;
use crate::exchange::json::line;
use crate::token_usage::TokenUsage;

/// The members of a response that do not change, as a JSON object without its closing brace.
pub(super) struct ResponseHead(String);

/// The current state of a response.
pub(super) struct ResponseState<'a> {
    pub(super) status: &'static str,
    /// The JSON of the items.
    pub(super) output: &'a [String],
    pub(super) usage: Option<TokenUsage>,
    pub(super) error: Option<Value>,
    /// Why the response is incomplete, if it did not fail.
    pub(super) incomplete: Option<&'static str>,
    /// The end of a completed response, in seconds since 1970.
    pub(super) completed_at: Option<u64>,
}

impl ResponseHead {
    /// Creates the members of a response. `created_at` is in seconds since 1970. `echo` contains
    /// the members of the request that the response repeats.
    pub(super) fn new(id: &str, created_at: u64, echo: &Map<String, Value>) -> Self {
        #[derive(Serialize)]
        struct ObjectHead<'a> {
            id: String,
            object: &'static str,
            created_at: u64,
            #[serde(flatten)]
            echo: &'a Map<String, Value>,
        }
        let mut json = line(&ObjectHead {
            id: format!("{PREFIX}{id}"),
            object: "response",
            created_at,
            echo,
        });
        json.pop();
        Self(json)
    }

    /// Returns the JSON of a response that has not ended.
    pub(super) fn in_progress(&self) -> String {
        self.with(&ResponseState {
            status: "in_progress",
            output: &[],
            usage: None,
            error: None,
            incomplete: None,
            completed_at: None,
        })
    }

    /// Returns the JSON of the response in a state.
    pub(super) fn with(&self, state: &ResponseState<'_>) -> String {
        let usage = state.usage.map(|usage| {
            json!({
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": usage.total(),
            })
        });
        let incomplete = state.incomplete.map(|reason| json!({"reason": reason}));
        format!(
            r#"{},"status":"{}","completed_at":{},"error":{},"incomplete_details":{},"usage":{},"output":[{}]}}"#,
            self.0,
            state.status,
            line(&state.completed_at),
            line(&state.error),
            line(&incomplete),
            line(&usage),
            state.output.join(","),
        )
    }
}
