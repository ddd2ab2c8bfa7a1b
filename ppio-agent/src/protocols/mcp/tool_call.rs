//! Calls of the tool.

use bytes::Bytes;
use http::header::ACCEPT;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ppio_agent_protocol::sse;
use serde_json::{Map, Value, json};

use super::call_events::CallEvents;
use super::interrupt;
use super::message::{JsonRpcError, Refusal, RpcRequest, is_id, kind_of};
use super::result::ResultWriter;
use super::tool::AgentTool;
use crate::exchange::Exchange;
use crate::exchange::body::Response;
use crate::exchange::failure::Failure;
use crate::exchange::json::{self, to_bytes};
use crate::exchange::rejection::Rejection;
use crate::protocols::ProtocolAgent;
use crate::protocols::call::{self, AgentAnswer};
use crate::runs::options::RunOptions;

/// The types of response that a client accepts. A client that names neither type accepts JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AcceptedTypes {
    json: bool,
    pub(super) events: bool,
}

impl AcceptedTypes {
    /// The types for an answer within a batch.
    pub(super) const JSON: Self = Self {
        json: true,
        events: false,
    };

    pub(super) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter();
        let ranges = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next());
        let (mut json, mut events) = (false, false);
        for range in ranges {
            match range.trim().to_ascii_lowercase().as_str() {
                sse::MEDIA_TYPE => events = true,
                "application/json" | "application/*" | "*/*" => json = true,
                _ => {}
            }
        }
        Self {
            json: json || !events,
            events,
        }
    }
}

/// A call of the tool.
pub(super) struct ToolCallRequest {
    /// The body of the request to the function.
    body: Bytes,
    /// The token of the call in progress notifications, if the client requests and accepts them.
    progress_token: Option<Value>,
    accepted: AcceptedTypes,
}

impl ToolCallRequest {
    pub(super) fn of(
        request: &RpcRequest,
        tool: &AgentTool,
        accepted: AcceptedTypes,
    ) -> Result<Self, JsonRpcError> {
        match request.params.get("name").and_then(Value::as_str) {
            Some(name) if name == tool.name => {}
            Some(name) => {
                let name: String = name.chars().take(100).collect();
                let tool = &tool.name;
                let message = format!("there is no tool {name:?}; the only tool is {tool:?}");
                return Err(JsonRpcError::invalid_params(message));
            }
            None => return Err(JsonRpcError::invalid_params("`name` is not a string")),
        }
        let mut arguments = match request.params.get("arguments") {
            Some(Value::Object(arguments)) => arguments.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(other) => {
                let kind = kind_of(other);
                let message = format!("`arguments` is {kind}; send an object");
                return Err(JsonRpcError::invalid_params(message));
            }
        };
        let responses = interrupt::responses(&request.params)?;
        if !responses.is_empty() {
            let resume = arguments.entry("resume").or_insert_with(|| json!([]));
            if let Value::Array(resume) = resume {
                resume.extend(responses);
            }
        }
        let body = match tool.input.member {
            None => to_bytes(&arguments),
            Some(member) => to_bytes(arguments.get(member).unwrap_or(&Value::Null)),
        };
        let token = request.meta("progressToken");
        let token = token.filter(|token| accepted.events && is_id(token));
        Ok(Self {
            body,
            progress_token: token.cloned(),
            accepted,
        })
    }

    /// Calls the agent, and waits until its answer begins.
    pub(super) async fn run(
        self,
        agent: &ProtocolAgent<'_>,
        exchange: &Exchange,
        parts: Parts,
        options: RunOptions,
    ) -> Result<Called, Refusal> {
        let wants_stream = self.progress_token.is_some();
        let called =
            call::invoke_with_body(agent, exchange, parts, self.body, wants_stream, options).await;
        let answer = match called {
            Err(error) if error.rejection().is_some_and(is_refusal) => {
                return Err(Refusal::ByRuntime(error));
            }
            Err(error) => Err(Failure::of(&error, exchange.request_id.as_str())),
            Ok(answer) => Ok(answer),
        };
        Ok(Called {
            answer,
            progress_token: self.progress_token,
            accepted: self.accepted,
        })
    }
}

/// Whether a call was refused before the function was called. Invalid arguments are not a refusal
/// but a result with an error, since the model that wrote the arguments has to correct them, and
/// models read only results.
fn is_refusal(rejection: &Rejection) -> bool {
    !matches!(
        rejection,
        Rejection::DoesNotFit { .. }
            | Rejection::Panicked
            | Rejection::NotSerializable(_)
            | Rejection::AnswerTooLarge { .. }
            | Rejection::ResponseCut
            | Rejection::Interrupted
            | Rejection::Cancelled { .. }
            | Rejection::AgentStopped
            | Rejection::JournalFailed { .. }
            | Rejection::TimedOut(_)
            | Rejection::StreamStalled(_)
            | Rejection::StreamTimedOut(_)
    )
}

/// A call whose answer has begun, or that failed before its answer began.
pub(super) struct Called {
    answer: Result<AgentAnswer, Failure>,
    progress_token: Option<Value>,
    accepted: AcceptedTypes,
}

impl Called {
    /// Answers with events if there is progress to send or if the client does not accept JSON,
    /// otherwise with JSON. A call that failed before its answer began is always answered with
    /// JSON.
    pub(super) async fn into_response(self, exchange: &Exchange, writer: ResultWriter) -> Response {
        let answer = match self.answer {
            Ok(answer) => answer,
            Err(failure) => return response(&writer.failed(&failure)),
        };
        let has_progress = self.progress_token.is_some() && answer.is_stream();
        if has_progress || !self.accepted.json {
            let translator = CallEvents::new(self.progress_token, answer.is_stream(), writer);
            return answer.into_events(exchange, translator);
        }
        let is_stream = answer.is_stream();
        match answer.into_whole().await {
            Ok((whole, parts)) => parts.json(to_bytes(&writer.succeeded(whole, is_stream))),
            Err(error) => {
                let failure = Failure::of(&error, exchange.request_id.as_str());
                response(&writer.failed(&failure))
            }
        }
    }

    /// Returns the response for a batch.
    pub(super) async fn into_json(self, exchange: &Exchange, writer: &ResultWriter) -> Value {
        let answer = match self.answer {
            Ok(answer) => answer,
            Err(failure) => return writer.failed(&failure),
        };
        let is_stream = answer.is_stream();
        match answer.into_whole().await {
            Ok((whole, _)) => writer.succeeded(whole, is_stream),
            Err(error) => writer.failed(&Failure::of(&error, exchange.request_id.as_str())),
        }
    }
}

fn response(body: &Value) -> Response {
    json::response(StatusCode::OK, to_bytes(body))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_client_accepts_json_unless_it_names_only_events() {
        for (accept, json, events) in [
            ("application/json, text/event-stream", true, true),
            ("application/json", true, false),
            ("*/*", true, false),
            ("text/event-stream", false, true),
            ("Text/Event-Stream;q=0.5, */*", true, true),
            ("text/html", true, false),
            ("", true, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(
                AcceptedTypes::of(&headers),
                AcceptedTypes { json, events },
                "{accept}"
            );
        }
        assert_eq!(AcceptedTypes::of(&HeaderMap::new()), AcceptedTypes::JSON);
    }
}
