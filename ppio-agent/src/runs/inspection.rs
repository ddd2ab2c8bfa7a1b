//! The data that a run keeps for the developer of its agent: the request, the times of the items,
//! and the token usage that the items report.

use std::collections::VecDeque;

use bytes::Bytes;
use ppio_agent_protocol::ChatEvent;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::exchange::json;
use crate::token_usage::TokenUsage;

/// The maximum size of a request that is kept, in bytes.
const MAX_REQUEST: usize = 256 * 1024;
/// The maximum length of a summary, in characters.
const MAX_SUMMARY: usize = 120;

/// The inspection data of one run.
#[derive(Debug, Clone)]
pub(super) struct Inspection {
    request: Option<Bytes>,
    summary: String,
    usage: Option<TokenUsage>,
    /// For each group of items that were added in the same millisecond: the number of the first
    /// item, and the milliseconds since the start of the run.
    times: VecDeque<(u64, u64)>,
}

/// The part of an inspection that is shown in a list of runs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct InspectionSummary {
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<TokenUsage>,
}

impl Inspection {
    pub(super) fn of(request: Bytes) -> Self {
        let is_small = request.len() <= MAX_REQUEST;
        Self {
            summary: if is_small {
                summary(&request)
            } else {
                format!("{} bytes", request.len())
            },
            request: is_small.then_some(request),
            usage: None,
            times: VecDeque::new(),
        }
    }

    /// Returns the size that counts towards the memory limits, in bytes.
    pub(super) fn size(&self) -> usize {
        self.request.as_ref().map_or(0, Bytes::len)
    }

    /// Records the time and the tokens of `items`, which follow item number `last`, and drops the
    /// times of items before `kept`.
    pub(super) fn add(&mut self, kept: u64, last: u64, items: &[u8], milliseconds: u64) {
        if self.times.back().is_none_or(|&(_, at)| at != milliseconds) {
            self.times.push_back((last + 1, milliseconds));
        }
        while self.times.get(1).is_some_and(|&(first, _)| first <= kept) {
            self.times.pop_front();
        }
        if memchr::memmem::find(items, br#""usage""#).is_none() {
            return;
        }
        for line in items.split(|&byte| byte == b'\n') {
            let data = line.strip_prefix(b"data:").unwrap_or_default();
            if let Ok(ChatEvent::Usage {
                input_tokens,
                output_tokens,
            }) = serde_json::from_slice(data)
            {
                TokenUsage::add_to(&mut self.usage, input_tokens, output_tokens);
            }
        }
    }

    pub(super) fn summary(&self) -> InspectionSummary {
        InspectionSummary {
            summary: self.summary.clone(),
            usage: self.usage,
        }
    }

    /// Returns the members that only the state of a single run has: the times, and the request, as
    /// `request_text` if it is not JSON.
    pub(super) fn to_json(&self) -> Bytes {
        #[derive(Serialize)]
        struct Times<'a> {
            item_times: &'a VecDeque<(u64, u64)>,
        }
        let times = json::to_bytes(&Times {
            item_times: &self.times,
        });
        let Some(request) = &self.request else {
            return times;
        };
        if serde_json::from_slice::<IgnoredAny>(request).is_ok() {
            json::with_member(&times, "request", request)
        } else {
            let text = json::to_bytes(&String::from_utf8_lossy(request));
            json::with_member(&times, "request_text", &text)
        }
    }
}

/// Returns the prompt of a request, otherwise its first text, otherwise the beginning of its JSON.
fn summary(request: &[u8]) -> String {
    let value: Value = serde_json::from_slice(request).unwrap_or_default();
    let text = match &value {
        Value::String(text) => Some(text.as_str()),
        Value::Object(members) => {
            let prompt = members.get("prompt").and_then(Value::as_str);
            let mut texts = prompt
                .into_iter()
                .chain(members.values().filter_map(Value::as_str));
            texts.find(|text| !text.trim().is_empty())
        }
        _ => None,
    };
    let whole = String::from_utf8_lossy(request);
    let text = text.unwrap_or(&whole).trim();
    text.chars().take(MAX_SUMMARY).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn details(inspection: &Inspection) -> Value {
        serde_json::from_slice(&inspection.to_json()).unwrap()
    }

    #[test]
    fn a_summary_is_the_first_text_of_a_request() {
        let long = "x".repeat(500);
        for (request, expected) in [
            (json!({"a": "first", "prompt": "hi"}), "hi"),
            (json!({"prompt": " ", "text": "hi"}), "hi"),
            (json!({"n": 1}), r#"{"n":1}"#),
            (json!("hi"), "hi"),
            (json!([1]), "[1]"),
            (json!({ "prompt": long }), &long[..MAX_SUMMARY]),
        ] {
            let inspection = Inspection::of(request.to_string().into());
            assert_eq!(inspection.summary, expected);
        }
        let cut = Inspection::of(Bytes::from_static(b"{\"prompt\": "));
        assert_eq!(cut.summary, "{\"prompt\":");
        let found = details(&cut);
        assert_eq!(found["request_text"], "{\"prompt\": ");
        let large = Inspection::of(vec![b' '; MAX_REQUEST + 1].into());
        assert_eq!((large.size(), &*large.summary), (0, "262145 bytes"));
    }

    #[test]
    fn times_are_of_items_that_are_kept_and_tokens_are_added() {
        let mut inspection = Inspection::of(Bytes::from_static(b"{}"));
        let usage = b"data: {\"type\":\"usage\",\"input_tokens\":3,\"output_tokens\":4}\n\n";
        inspection.add(1, 0, b"data: \"a\"\n\ndata: \"b\"\n\n", 5);
        inspection.add(1, 2, usage, 5);
        inspection.add(1, 3, b"data: \"the \\\"usage\\\"\"\n\n", 9);
        inspection.add(
            1,
            4,
            b"data:  {\"type\":\"usage\",\"input_tokens\":1,\"output_tokens\":1}\n\n",
            12,
        );
        let found = details(&inspection);
        assert_eq!(found["item_times"], json!([[1, 5], [4, 9], [5, 12]]));
        let summary = serde_json::to_value(inspection.summary()).unwrap();
        assert_eq!(
            summary["usage"],
            json!({"input_tokens": 4, "output_tokens": 5})
        );
        inspection.add(5, 5, b"data: 1\n\n", 20);
        let found = details(&inspection);
        assert_eq!(found["item_times"], json!([[5, 12], [6, 20]]));
    }
}
