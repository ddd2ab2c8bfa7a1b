//! `POST /v1/chat/completions`.

mod chunks;
mod completion;
mod message;
mod request;

use std::time::SystemTime;

use ppio_agent_protocol::FinishReason;

use self::chunks::ChunkWriter;
use self::request::CompletionRequest;
use super::super::ProtocolAgent;
use super::super::call;
use super::seconds;
use super::tools::CallerTools;
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::json::to_bytes;
use crate::token_usage::TokenUsage;

/// The options of a request that determine the format of its answer.
struct CompletionFormat {
    model: String,
    tools: CallerTools,
    /// Whether the request has `functions`, the older form of `tools`, and no `tools`, so that the
    /// answer has `function_call` for one call.
    calls_one_function: bool,
    include_usage: bool,
}

/// Answers `POST /v1/chat/completions`.
pub(super) async fn create(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let options = call::run_options(agent, request.headers())?;
    let (parts, body) = call::read(request).await?;
    let body: CompletionRequest = call::parse(&body)?;
    let (request, format) = body.into_invocation(agent.protocols.agent().name)?;
    let answer = call::invoke(agent, exchange, parts, &request, options).await?;
    let id = format!("chatcmpl-{}", answer.request_id(exchange));
    let created = seconds(SystemTime::now());
    if request.stream {
        return Ok(answer.into_events(exchange, ChunkWriter::new(&id, created, format)));
    }
    let (whole, parts) = answer.into_whole().await?;
    let completion = completion::completion(&id, created, &format, whole);
    Ok(parts.json(to_bytes(&completion)))
}

/// Returns the `finish_reason` of an answer.
fn finish_reason(
    said: Option<FinishReason>,
    format: &CompletionFormat,
    has_calls: bool,
) -> &'static str {
    match said {
        Some(FinishReason::Length) => "length",
        Some(FinishReason::ContentFilter) => "content_filter",
        _ if has_calls && format.calls_one_function => "function_call",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

/// Returns the `usage` of an answer: its numbers of tokens.
fn usage(usage: TokenUsage) -> serde_json::Value {
    serde_json::json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
    })
}
