//! The answer as one object, rather than as a stream.

use serde_json::{Value, json};

use super::{CompletionFormat, finish_reason, usage};
use crate::protocols::whole::{AnswerToolCall, WholeAnswer};

/// Returns the chat completion for an answer.
pub(super) fn completion(
    id: &str,
    created: u64,
    format: &CompletionFormat,
    mut whole: WholeAnswer,
) -> Value {
    whole.add_interrupt_text();
    let calls = whole.tool_calls.iter();
    let calls: Vec<_> = calls.filter(|call| format.tools.has(&call.name)).collect();
    let mut message = json!({"role": "assistant", "content": whole.text, "refusal": null});
    if !calls.is_empty() && whole.text.is_empty() {
        message["content"] = Value::Null;
    }
    if !whole.reasoning.is_empty() {
        message["reasoning_content"] = whole.reasoning.into();
    }
    let function = |call: &AnswerToolCall| json!({"name": call.name, "arguments": call.arguments});
    match calls.first() {
        None => {}
        Some(call) if format.calls_one_function => message["function_call"] = function(call),
        Some(_) => {
            let calls = calls
                .iter()
                .map(|call| json!({"id": call.id, "type": "function", "function": function(call)}));
            message["tool_calls"] = calls.collect();
        }
    }
    let mut completion = json!({
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": format.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(whole.finish, format, !calls.is_empty()),
        }],
    });
    if let Some(tokens) = whole.usage {
        completion["usage"] = usage(tokens);
    }
    completion
}
