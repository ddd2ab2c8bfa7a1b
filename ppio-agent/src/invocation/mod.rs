//! `POST /invocations`: from a request to the author's function and back.

pub(crate) mod autoref;
pub(crate) mod blocking_pool;
pub(crate) mod event_buffer;
pub(crate) mod executor;
pub(crate) mod guard;
pub(crate) mod handler;
mod payload;
pub(crate) mod reply;
pub(crate) mod sse_body;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::exchange::body::{Body, BodyEnd, Request, Response};
use crate::exchange::context::{AgentRuntimeContext, Parts, RequestContext};
use crate::exchange::error::Error;
use crate::exchange::header_names::X_ACCEL_BUFFERING;
use crate::exchange::json;
use crate::exchange::rejection::Failure;
use crate::invocation::executor::{Drive, panicked};
use crate::invocation::guard::Record;
use crate::invocation::handler::{Call, Input};
use crate::invocation::reply::Outcome;
use crate::invocation::sse_body::EventStreamBody;
use crate::server::router::Exchange;

/// Answers one invocation, and keeps its record.
///
/// Every byte of this future is copied when hyper takes it, several times. So the steps are plain
/// functions, and what is seldom needed (waiting for a handler, with a timer) is boxed.
pub(crate) async fn invoke(exchange: &Exchange, request: Request) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let context = RequestContext::from(Parts {
        request_id: exchange.request_id.clone(),
        headers: parts.headers,
        extensions: parts.extensions,
        deadline: exchange.deadline,
        agent: exchange.agent.clone(),
    });
    let mut record = Record::begin(exchange, context)?;
    let body = match payload::read(record.context().headers(), body).await {
        Ok(body) => body,
        Err(error) => return Err(record.failed(error)),
    };
    let mut drive = match start(exchange, body, record.context().clone()) {
        Ok(drive) => drive,
        Err(error) => return Err(record.failed(error)),
    };
    // Most handlers that only compute are done at the first poll.
    let first = poll_fn(|cx| Poll::Ready(poll_head(&mut drive, cx))).await;
    let head = match first {
        Poll::Ready(head) => head,
        Poll::Pending => match Box::pin(wait(
            &mut drive,
            exchange.started,
            record.context().deadline().unwrap_or(exchange.deadline),
        ))
        .await
        {
            Ok(head) => head,
            Err(error) => return Err(record.failed(error)),
        },
    };
    answer(exchange, drive, head, record)
}

/// Calls the author's function.
fn start(exchange: &Exchange, body: Bytes, context: RequestContext) -> Result<Drive, Error> {
    let agent = &exchange.agent;
    context.set_body(body.clone());
    exchange.note_session(&context);
    if !agent.chains.invocations.is_empty()
        && let Some(outer) = AgentRuntimeContext::current()
    {
        // Middleware has a context of its own, which does not know yet what the body says.
        outer.set_body(body.clone());
    }
    let call = Call {
        input: Input::Body(body),
        context,
        style: exchange.style,
        span: exchange.span.clone(),
        started: exchange.started,
    };
    // Nothing of the call is used again after a panic in the author's `Deserialize`.
    let job = catch_unwind(AssertUnwindSafe(|| (agent.handler)(call)))
        .unwrap_or_else(|panic| Err(panicked(panic.as_ref())))?;
    Ok(Drive::new(job, agent.clone()))
}

/// Runs the handler until it is done or has begun a stream (`None`).
fn poll_head(drive: &mut Drive, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
    match Pin::new(&mut *drive).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if drive.outlet().is_streaming() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

async fn wait(
    drive: &mut Drive,
    started: Instant,
    deadline: Instant,
) -> Result<Option<Outcome>, Error> {
    let head = poll_fn(|cx| poll_head(drive, cx));
    tokio::time::timeout_at(tokio::time::Instant::from_std(deadline), head)
        .await
        .map_err(|_| Failure::TimedOut(deadline - started).into())
}

fn answer(
    exchange: &Exchange,
    drive: Drive,
    head: Option<Outcome>,
    mut record: Record,
) -> Result<Response, Error> {
    match head {
        Some(Outcome::Value(value)) => {
            let duration = record.succeeded(StatusCode::OK, 0);
            let id = exchange.request_id.as_str();
            let body = json::finish(value, exchange.style, duration, id);
            Ok(json::response(StatusCode::OK, body))
        }
        Some(Outcome::Response(response)) => Ok(own_response(exchange, *response, record)),
        Some(Outcome::Failed(error)) if !drive.outlet().is_streaming() => Err(record.failed(error)),
        outcome => Ok(stream(exchange, drive, outcome, record)),
    }
}

/// A response of the author's own. The invocation goes on as long as its body does.
fn own_response(exchange: &Exchange, response: Response, mut record: Record) -> Response {
    let status = response.status();
    if !response.body().runs_on() {
        record.succeeded(status, 0);
        return response;
    }
    let context = record.context().clone();
    response.map(|body| {
        let body = body.on_end(move |end| match end {
            BodyEnd::Complete => {
                record.succeeded(status, 0);
            }
            BodyEnd::Failed => record.stream_failed(&Failure::ResponseCut.into(), 0),
            BodyEnd::Dropped => drop(record),
        });
        exchange.scoped(body, context)
    })
}

fn stream(exchange: &Exchange, drive: Drive, outcome: Option<Outcome>, record: Record) -> Response {
    let settings = &exchange.agent.settings;
    let mut body = EventStreamBody::new(drive, record, settings.heartbeat, settings.timeout);
    if let Some(outcome) = outcome {
        body.end(outcome);
    }
    let mut response = Response::new(Body::events(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}
