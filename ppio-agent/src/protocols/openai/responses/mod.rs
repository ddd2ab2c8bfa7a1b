//! `/v1/responses`. A response is kept as a run, unless its request has `"store": false`.

mod events;
mod input;
pub(super) mod input_items;
mod kept;
mod numbers;
mod object;
mod output;
mod request;

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;

use self::events::ResponseEvents;
use self::kept::Kept;
use self::object::ResponseHead;
use self::request::{Mode, ResponseRequest};
use super::super::ProtocolAgent;
use super::super::call::{self, AgentAnswer};
use super::seconds;
use crate::endpoints::runs::{invalid, number, parameter};
use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::Error;
use crate::exchange::json::{response, to_bytes};
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::runs::run::Run;
use crate::runs::{self};

/// Answers `POST /v1/responses`.
pub(super) async fn create(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let options = call::run_options(agent, request.headers())?;
    let (parts, body) = call::read(request).await?;
    let body: ResponseRequest = call::parse(&body)?;
    let (previous, thread) = match &body.previous_response_id {
        Some(id) => kept::conversation(agent, exchange, &parts.headers, id).await?,
        None => Default::default(),
    };
    let (request, mode, kept) =
        body.into_invocation(agent.protocols.agent().name, previous, thread)?;
    let tag = || kept.tag(&request, agent.runs.settings().max_size);
    let options = match mode {
        Mode::NotStored => options,
        Mode::Stored => options.tagged(tag()),
        Mode::Background => options.keep(OnDisconnect::Continue, tag()),
    };
    let headers = (mode != Mode::NotStored).then(|| parts.headers.clone());
    let waits = request.stream || mode != Mode::Background;
    let options = if waits {
        options
    } else {
        options.without_waiting()
    };
    let answer = call::invoke(agent, exchange, parts, &request, options).await?;
    let id = answer.request_id(exchange).to_owned();
    let run = headers.and_then(|headers| runs::find(agent.runs, &headers, &id).ok());
    let created_at = run.map_or_else(SystemTime::now, |run| run.started_at());
    let head = ResponseHead::new(&id, seconds(created_at), &kept.echo);
    if !waits {
        return Ok(response(StatusCode::OK, head.in_progress().into()));
    }
    let events = ResponseEvents::new(&id, head, kept.tools);
    if request.stream {
        return Ok(answer.into_events(exchange, events));
    }
    let (mut items, parts) = answer.into_parts();
    let response = events
        .collect(&mut items)
        .await
        .map_err(|failed| failed.failure.into_error())?;
    Ok(parts.json(response.into()))
}

/// Answers `GET` and `DELETE` of `/v1/responses/{id}`.
pub(super) async fn answer(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: &Parts,
    id: &str,
) -> Result<Response, Error> {
    let (run, kept) = kept::find(agent, &request.headers, id)?;
    if request.method == Method::DELETE {
        agent.runs.delete(&run).await;
        let deleted = json!({"id": id, "object": "response", "deleted": true});
        return Ok(response(StatusCode::OK, to_bytes(&deleted)));
    }
    if parameter(&request.uri, "stream") != Some("true") {
        return get(agent, exchange, &run, kept).await;
    }
    let after = match parameter(&request.uri, "starting_after") {
        None => None,
        Some(text) => {
            let expected = "the `sequence_number` of an event";
            Some(number(text).ok_or_else(|| invalid("starting_after", text, expected))?)
        }
    };
    let answer = reattach(agent, exchange, &run).await?;
    let events = events_of(&run, kept).after(after);
    Ok(answer.into_events(exchange, events))
}

/// Answers `POST /v1/responses/{id}/cancel`.
pub(super) async fn cancel(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    request: &Parts,
    id: &str,
) -> Result<Response, Error> {
    let (run, kept) = kept::find(agent, &request.headers, id)?;
    run.cancel_recorded("by a caller").await;
    get(agent, exchange, &run, kept).await
}

/// Returns the current state of the response.
async fn get(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    run: &Arc<Run>,
    kept: Kept,
) -> Result<Response, Error> {
    let body = if run.status().is_ended() {
        let answer = reattach(agent, exchange, run).await?;
        let (mut items, _) = answer.into_parts();
        match events_of(run, kept).collect(&mut items).await {
            Ok(response) => response,
            Err(failed) => failed.response,
        }
    } else {
        ResponseHead::new(run.id(), seconds(run.started_at()), &kept.echo).in_progress()
    };
    Ok(runs::no_store(response(StatusCode::OK, body.into())))
}

fn events_of(run: &Run, kept: Kept) -> ResponseEvents {
    let head = ResponseHead::new(run.id(), seconds(run.started_at()), &kept.echo);
    let ended_at = run.ended_at();
    ResponseEvents::new(run.id(), head, kept.tools).ended(run.status(), ended_at)
}

/// Returns the answer of a run from its beginning, even if the run failed before its answer began.
///
/// # Errors
/// If the beginning of the answer is no longer kept.
async fn reattach(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    run: &Arc<Run>,
) -> Result<AgentAnswer, Error> {
    match call::reattach(agent.invoker, exchange, run).await {
        Err(error) if !is_gone(&error) => Ok(AgentAnswer::failed(exchange, run, &error)),
        answer => answer,
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(
        error.rejection(),
        Some(Rejection::EventsGone { .. } | Rejection::AnswerGone { .. })
    )
}
