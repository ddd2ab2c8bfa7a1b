//! `POST /invocations`: from a request to the author's function and back.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ppio_agent_protocol::headers::{AGENT_CORE_REQUEST_ID, AGENT_CORE_SESSION_ID};

use crate::body::{Body, Request, Response};
use crate::context::{Parts, RequestContext};
use crate::drive::Drive;
use crate::error::Error;
use crate::event_stream::EventStreamBody;
use crate::failure::Failure;
use crate::handler::Call;
use crate::json::{self, Style};
use crate::payload;
use crate::record::Record;
use crate::reply::Outcome;
use crate::service::Exchange;

/// Tells nginx and its kin to pass events on as they come.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers one invocation, and keeps its record.
pub(crate) async fn invoke(exchange: &Exchange, request: Request) -> Result<Response, Error> {
    let mut record = Record::begin(&exchange.agent, &exchange.span, exchange.started)?;
    match run(exchange, request, &mut record).await {
        Ok(Answer::Whole(response)) => {
            record.succeeded(0);
            Ok(response)
        }
        Ok(Answer::Stream(drive, outcome)) => Ok(stream(exchange, drive, outcome, record)),
        Err(error) => {
            record.failed(&error, 0);
            Err(error)
        }
    }
}

/// A running stream comes with its handler, and with the outcome where it is over already.
enum Answer {
    Whole(Response),
    Stream(Drive, Option<Outcome>),
}

async fn run(exchange: &Exchange, request: Request, record: &mut Record) -> Result<Answer, Error> {
    let agent = &exchange.agent;
    let (parts, body) = request.into_parts();
    let body = payload::read(&parts.headers, body).await?;
    let style = style_of(&parts.headers);
    let context = RequestContext::from(Parts {
        request_id: exchange.request_id.clone(),
        headers: parts.headers,
        extensions: parts.extensions,
        body: body.clone(),
        deadline: exchange.deadline,
        tasks: agent.tasks.clone(),
    });
    exchange.note_session(&context);
    record.set_context(context.clone());
    let job = (agent.handler)(Call {
        body,
        context,
        style,
        span: exchange.span.clone(),
        timeout: None,
    })?;
    let timeout = job
        .timeout
        .unwrap_or(agent.settings.timeout)
        .min(agent.settings.timeout);
    let mut drive = Drive::new(job.future, job.outlet, agent.pool.clone());
    let deadline = tokio::time::Instant::from_std(exchange.started + timeout);
    let head = tokio::time::timeout_at(deadline, head(&mut drive))
        .await
        .map_err(|_| Failure::TimedOut(timeout))?;
    match head {
        Some(Outcome::Value(value)) => {
            let duration = exchange.started.elapsed();
            let body = json::finish(value, style, duration, exchange.request_id.as_str());
            Ok(Answer::Whole(json::response(StatusCode::OK, body)))
        }
        Some(Outcome::Response(response)) => Ok(Answer::Whole(*response)),
        Some(Outcome::Failed(error)) if !drive.outlet().is_streaming() => Err(error),
        outcome => Ok(Answer::Stream(drive, outcome)),
    }
}

/// Runs the handler until it is done or has begun a stream (`None`).
async fn head(drive: &mut Drive) -> Option<Outcome> {
    poll_fn(|cx| match Pin::new(&mut *drive).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if drive.outlet().is_streaming() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
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

/// AgentCore names itself in its headers, and its callers expect the bare value.
fn style_of(headers: &HeaderMap) -> Style {
    let agent_core =
        headers.contains_key(AGENT_CORE_SESSION_ID) || headers.contains_key(AGENT_CORE_REQUEST_ID);
    if agent_core {
        Style::Bare
    } else {
        Style::Envelope
    }
}
