//! The response of an invocation that is done or has begun a stream.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::{ResponseFormat, sse};

use super::counters::InvocationProgress;
use super::executor::InvocationFuture;
use super::guard::InvocationGuard;
use super::invoker::Invoker;
use super::reply::Outcome;
use super::session_gate::SessionTurn;
use super::sse_body::{SseBody, StreamLimits};
use super::user_body::UserBody;
use crate::exchange::Exchange;
use crate::exchange::agent_envelope::AgentEnvelope;
use crate::exchange::body::{Body, Response};
use crate::exchange::caller_deadline::CallerDeadline;
use crate::exchange::error::Error;
use crate::exchange::header_names::X_ACCEL_BUFFERING;
use crate::exchange::json;
use crate::exchange::scoped_body::scoped;

/// Returns the response of an invocation. If `head` is `None`, a stream has begun.
#[inline]
pub(super) fn respond(
    invoker: &Invoker,
    exchange: &Exchange,
    mut invocation: InvocationFuture,
    head: Option<Outcome>,
    mut guard: InvocationGuard,
) -> Result<Response, Error> {
    match head {
        Some(Outcome::Value(value)) => {
            let duration = guard.responded(StatusCode::OK, InvocationProgress::default());
            let id = exchange.request_id.as_str();
            let body = json::finish(value, exchange.format, duration, id);
            Ok(exchange.value_response(body))
        }
        Some(Outcome::Envelope(envelope)) => {
            let queue_time = invocation.buffer().queue_time();
            envelope_response(exchange, *envelope, queue_time, guard)
        }
        Some(Outcome::Response(response)) => {
            let turn = invocation.take_turn();
            let mut response = *response;
            exchange.announce(ResponseFormat::Value, &mut response);
            Ok(user_response(exchange, response, guard, turn))
        }
        Some(Outcome::Failed(error)) if !invocation.buffer().is_streaming() => {
            Err(guard.failed(error))
        }
        outcome => Ok(stream(invoker, exchange, invocation, outcome, guard)),
    }
}

/// Returns the response of an envelope that the handler filled. If the envelope has the status
/// `error`, the invocation has failed.
fn envelope_response(
    exchange: &Exchange,
    envelope: AgentEnvelope,
    queue_time: Duration,
    mut guard: InvocationGuard,
) -> Result<Response, Error> {
    let id = exchange.request_id.as_str();
    if let Some(error) = envelope.failure() {
        let body = envelope.into_body(exchange.started.elapsed(), queue_time, id);
        return Err(guard.failed(error).with_body(body));
    }
    let duration = guard.responded(StatusCode::OK, InvocationProgress::default());
    Ok(exchange.value_response(if exchange.format.has_envelope() {
        envelope.into_body(duration, queue_time, id)
    } else {
        envelope.into_result()
    }))
}

/// Returns a response of user code. The invocation ends when the body of the response ends, or
/// immediately if polling the body runs no user code.
pub(crate) fn user_response(
    exchange: &Exchange,
    response: Response,
    mut guard: InvocationGuard,
    turn: Option<Box<SessionTurn>>,
) -> Response {
    let status = response.status();
    if !response.body().is_user_body() {
        guard.responded(status, InvocationProgress::default());
        return response;
    }
    let context = guard.context().clone();
    let deadline = caller_deadline(exchange, &guard);
    response.map(|body| {
        let body = body.wrap(|body| UserBody::new(body, status, guard, turn, deadline));
        scoped(body, context, &exchange.span)
    })
}

/// Returns the time at which the whole invocation has to end, if the caller sets a timeout.
fn caller_deadline(exchange: &Exchange, guard: &InvocationGuard) -> Option<CallerDeadline> {
    Some(CallerDeadline {
        at: guard.context().requested_deadline()?,
        started: exchange.started,
    })
}

fn stream(
    invoker: &Invoker,
    exchange: &Exchange,
    invocation: InvocationFuture,
    outcome: Option<Outcome>,
    guard: InvocationGuard,
) -> Response {
    let limits = StreamLimits {
        max_silence: invoker.settings().timeout,
        deadline: caller_deadline(exchange, &guard),
    };
    let mut body = SseBody::new(invocation, guard, invoker.settings().heartbeat, limits);
    if let Some(outcome) = outcome {
        body.end(outcome);
    }
    event_stream(exchange, Body::stream(body))
}

/// An extension that marks a response for a protocol: the runtime wrote the events of the response,
/// so the data of each event is JSON.
#[cfg(feature = "chat")]
#[derive(Clone)]
pub(crate) struct WrittenEvents;

/// Returns an event stream as a response.
pub(crate) fn event_stream(exchange: &Exchange, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(sse::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    exchange.announce(ResponseFormat::Events, &mut response);
    #[cfg(feature = "chat")]
    if exchange.format.marks_chat_events() {
        response.extensions_mut().insert(WrittenEvents);
    }
    response
}
