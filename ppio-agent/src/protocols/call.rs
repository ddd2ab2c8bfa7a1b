//! Calls the agent for a protocol.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::{InvocationRequest, sse};

use super::ProtocolAgent;
use super::events::{EventWriter, TranslatedBody, Translator};
use super::items::{Items, media_type};
use super::whole::{self, WholeAnswer};
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::header_names::RESPONSE_FORMAT;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::exchange::requested_format::RequestedFormat;
use crate::invocation::{Invoker, event_stream, payload};
use crate::runs;
use crate::runs::options::RunOptions;
use crate::runs::run::Run;

/// Reads the body of a protocol's request, with the same limits as for invocations.
pub(crate) async fn read(request: Request) -> Result<(Parts, Bytes), Error> {
    let (parts, body) = request.into_parts();
    let body = payload::read(&parts.headers, body).await?;
    Ok((parts, body))
}

/// Parses the body of a protocol's request.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    payload::parse(body)
}

/// Returns the options of a run, from the configuration and the headers of its request.
pub(crate) fn run_options(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
) -> Result<RunOptions, Rejection> {
    RunOptions::of_protocol(headers, agent.runs.settings().on_disconnect)
}

/// Calls the agent, and waits until its answer begins.
///
/// # Errors
/// Returns the error with which the runtime rejected the request, or the error with which the agent
/// failed before its answer began.
pub(crate) async fn invoke(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    parts: Parts,
    request: &InvocationRequest,
    options: RunOptions,
) -> Result<AgentAnswer, Error> {
    let body = serde_json::to_vec(request)
        .map_err(|error| Rejection::NotSerializable(error.to_string()))?;
    invoke_with_body(agent, exchange, parts, body.into(), false, options).await
}

/// Calls the agent like [`invoke`], with any JSON as the body. `wants_stream` requests a stream
/// even if the body has no `"stream": true`.
pub(crate) async fn invoke_with_body(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    mut parts: Parts,
    body: Bytes,
    wants_stream: bool,
    options: RunOptions,
) -> Result<AgentAnswer, Error> {
    // These headers describe the caller's body and the answer in the caller's protocol.
    for name in [ACCEPT, CONTENT_LENGTH, TRANSFER_ENCODING] {
        parts.headers.remove(name);
    }
    if wants_stream {
        let events = HeaderValue::from_static(sse::MEDIA_TYPE);
        parts.headers.insert(ACCEPT, events);
    }
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, json);
    let request = Request::from_parts(parts, Body::from(body));
    let exchange = Exchange {
        trace: exchange.trace.invocation(),
        ..in_chat_format(exchange)
    };
    let answered = runs::invoke_with(agent.runs, agent.invoker, &exchange, request, options).await;
    AgentAnswer::of(answered.map_err(Error::without_body)?).await
}

/// Waits until the answer of a run begins, and reads it from the beginning.
///
/// # Errors
/// If the beginning of the answer is no longer kept, or if the agent failed before its answer
/// began.
pub(crate) async fn reattach(
    invoker: &Invoker,
    exchange: &Exchange,
    run: &std::sync::Arc<Run>,
) -> Result<AgentAnswer, Error> {
    let exchange = in_chat_format(exchange);
    let response = runs::replay(run, &exchange, invoker, &HeaderMap::new()).await?;
    AgentAnswer::of(response).await
}

fn in_chat_format(exchange: &Exchange) -> Exchange {
    Exchange {
        format: RequestedFormat::Chat,
        ..exchange.clone()
    }
}

/// The answer of the agent, which has begun.
pub(crate) struct AgentAnswer {
    response: Response,
}

impl AgentAnswer {
    async fn of(response: Response) -> Result<Self, Error> {
        if let Some(error) = response.extensions().get::<Error>() {
            return Err(error.clone().without_body());
        }
        let status = response.status();
        if status.is_success() {
            return Ok(Self { response });
        }
        // The agent built this response itself; its text describes the error.
        let text = response.into_body().bytes().await?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Err(Error::new(status, text))
    }

    /// Returns the answer of a run that failed before its answer began, as a stream with only the
    /// error.
    #[cfg(feature = "openai")]
    pub(crate) fn failed(exchange: &Exchange, run: &Run, error: &Error) -> Self {
        let event = json::error_event(error, run.id(), RequestedFormat::Chat);
        Self {
            response: event_stream(exchange, event.into()),
        }
    }

    /// Returns the id of the invocation, which is also the id of its run.
    pub(crate) fn request_id<'a>(&'a self, exchange: &'a Exchange) -> &'a str {
        let id = self
            .response
            .extensions()
            .get::<crate::exchange::request_id::AnswerId>();
        id.map_or(&exchange.request_id, |id| &id.0).as_str()
    }

    /// Whether the answer is a stream of items.
    pub(crate) fn is_stream(&self) -> bool {
        media_type(self.response.headers()) == sse::MEDIA_TYPE
    }

    /// Answers with the events of a protocol.
    pub(crate) fn into_events(self, exchange: &Exchange, translator: impl Translator) -> Response {
        let (mut parts, body) = self.response.into_parts();
        let items = Items::of(&parts, body);
        let body = Body::stream(TranslatedBody::new(items, translator));
        let (headers, body) = {
            let response = event_stream(exchange, body);
            let (parts, body) = response.into_parts();
            (parts.headers, body)
        };
        remove_body_headers(&mut parts.headers);
        parts.headers.extend(headers);
        Response::from_parts(parts, body)
    }

    /// Reads the whole answer.
    ///
    /// # Errors
    /// If the agent failed in the middle of its answer, or if the answer is too large.
    pub(crate) async fn into_whole(self) -> Result<(WholeAnswer, AnswerParts), Error> {
        let (items, parts) = self.into_parts();
        Ok((whole::collect(items).await?, parts))
    }

    /// Returns the items, and the headers for an answer that is JSON.
    pub(crate) fn into_parts(self) -> (Items, AnswerParts) {
        let (mut parts, body) = self.response.into_parts();
        let items = Items::of(&parts, body);
        remove_body_headers(&mut parts.headers);
        (items, AnswerParts(parts))
    }
}

/// Answers a failure with the events of a protocol, for protocols whose answers are always
/// streams.
pub(crate) fn failed_events(
    exchange: &Exchange,
    failure: Failure,
    mut translator: impl Translator,
) -> Response {
    let mut events = EventWriter::default();
    translator.begin(&mut events);
    translator.end(Some(failure), &mut events);
    event_stream(exchange, Body::from(events.take()))
}

/// Answers with events that are already written.
#[cfg(feature = "a2a")]
pub(crate) fn written_events(exchange: &Exchange, mut events: EventWriter) -> Response {
    event_stream(exchange, Body::from(events.take()))
}

/// Answers with the events of a protocol, even if the agent failed before its answer began.
pub(crate) fn into_events(
    answer: Result<AgentAnswer, Error>,
    exchange: &Exchange,
    translator: impl Translator,
) -> Response {
    match answer {
        Ok(answer) => answer.into_events(exchange, translator),
        Err(error) => {
            let failure = Failure::of(&error, exchange.request_id.as_str());
            failed_events(exchange, failure, translator)
        }
    }
}

/// Returns the response to a message that needs no answer.
pub(crate) fn accepted() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::ACCEPTED;
    response
}

/// Returns a successful response without a body.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    response
}

/// Returns the response to a caller that already has the current version of a document.
#[cfg(feature = "a2a")]
pub(crate) fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::NOT_MODIFIED;
    response
}

/// The headers and extensions of an answer whose body becomes one JSON text.
pub(crate) struct AnswerParts(http::response::Parts);

impl AnswerParts {
    /// Answers with JSON.
    pub(crate) fn json(self, body: Bytes) -> Response {
        let mut response = json::response(http::StatusCode::OK, body);
        response.extensions_mut().extend(self.0.extensions);
        let mut headers = self.0.headers;
        // A header of the answer may have several values.
        headers.extend(std::mem::take(response.headers_mut()));
        *response.headers_mut() = headers;
        response
    }
}

/// Removes the headers that describe the body of the agent's answer, since the protocol's answer
/// has another body.
fn remove_body_headers(headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.remove(&RESPONSE_FORMAT);
}
