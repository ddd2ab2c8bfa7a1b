//! Runs: invocations whose answer is kept, so that it can be read again and by several readers.
//!
//! An invocation becomes a run if its caller may reconnect to read the answer: with the policy
//! `continue`, an idempotency key, `Prefer: respond-async`, a stream with ids, or a tag of a
//! protocol. If runs are inspected, every invocation becomes a run. For each run, a task of the
//! registry (`producer`) polls the handler and appends its items to the log of the run (`run`,
//! `log`), and every connection, that of the first caller included, is a reader with a position of
//! its own (`reader`). All other invocations have no run and go through `invocation` alone.

mod answer;
mod caller;
mod inspected_tasks;
mod inspection;
mod journal;
pub(crate) mod json_size;
mod leftovers;
mod log;
pub(crate) mod options;
mod producer;
mod reader;
mod readers;
pub(crate) mod registry;
pub(crate) mod run;
mod stable_hasher;
mod stored;
pub(crate) mod tag;
pub(crate) mod view;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use ppio_agent_protocol::{ByteSize, ResponseFormat};
use serde::Serialize;

use self::answer::Answer;
use self::leftovers::Leftovers;
use self::options::{OnStart, RunOptions};
use self::producer::{AnswerSource, Producer};
use self::reader::RunReader;
use self::registry::{Claim, RunRegistry};
use self::run::reading::{AnswerHead, ReadFormat};
use self::run::state::LoggedHead;
use self::run::{Run, RunOwner as _};
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::context::{RequestContext, session_header};
use crate::exchange::error::Error;
use crate::exchange::header_names::{
    PPIO_IDEMPOTENCY, PPIO_INSTANCE, PPIO_STREAM_IDS, PREFERENCE_APPLIED,
};
use crate::exchange::json;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::AnswerId;
use crate::exchange::requested_format::RequestedFormat;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::counters::InvocationProgress;
use crate::invocation::guard::InvocationGuard;
use crate::invocation::{Invoker, event_stream, payload};

/// The configuration of runs.
#[derive(Debug, Clone)]
pub(crate) struct RunSettings {
    pub(crate) on_disconnect: OnDisconnect,
    /// The maximum number of kept runs.
    pub(crate) max_runs: usize,
    /// The maximum size of the data that one run keeps, in bytes.
    pub(crate) max_size: usize,
    /// The maximum size of the data that all runs together keep, in bytes.
    pub(crate) max_total_size: usize,
    /// The directory of the journal, from which runs are restored after a restart of the process.
    pub(crate) journal: Option<PathBuf>,
    /// Whether callers that cannot be distinguished may list their runs.
    pub(crate) lists_anonymous: bool,
    /// Whether every invocation becomes a run that keeps the data for inspection by a developer.
    pub(crate) inspects: bool,
    /// The time for which a run is kept after its end.
    pub(crate) retention: Duration,
    /// The time for which a run with an idempotency key continues without readers before it is
    /// cancelled.
    pub(crate) reconnect_grace: Duration,
}

impl RunSettings {
    fn of(settings: &RuntimeSettings) -> Self {
        // A size that does not fit into a `usize` sets no limit.
        let size = |size: ByteSize| usize::try_from(size.bytes()).unwrap_or(usize::MAX);
        Self {
            on_disconnect: settings.on_disconnect,
            max_runs: settings.max_runs,
            max_size: size(settings.max_run_size),
            max_total_size: size(settings.max_total_run_size),
            lists_anonymous: settings.list_anonymous_runs,
            inspects: settings.inspect_runs,
            journal: settings.journal.clone(),
            retention: settings.run_retention,
            reconnect_grace: settings.reconnect_grace,
        }
    }
}

/// Answers `POST /invocations`, with a run if the request or the configuration requires one.
pub(crate) async fn invoke(
    runs: &Arc<RunRegistry>,
    invoker: &Invoker,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let configured = runs.settings().on_disconnect;
    let options = RunOptions::of(request.headers(), configured)?;
    invoke_with(runs, invoker, exchange, request, options).await
}

/// Answers an invocation with the given options.
pub(crate) async fn invoke_with(
    runs: &Arc<RunRegistry>,
    invoker: &Invoker,
    exchange: &Exchange,
    request: Request,
    mut options: RunOptions,
) -> Result<Response, Error> {
    if options.is_plain() && !runs.settings().inspects {
        return crate::invocation::invoke(invoker, exchange, request).await;
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let context = invoker.context(exchange, parts.headers, parts.extensions);
    let body = match payload::read(&headers, body).await {
        Ok(body) => body,
        // The request is counted as an invocation, like a request without a run.
        Err(error) => {
            let mut guard = InvocationGuard::begin(invoker.admission(), exchange, context)?;
            return Err(guard.failed(error));
        }
    };
    context.set_body(body.clone());
    let caller = runs.caller(&headers, context.session_id());
    let claim = runs.claim(&exchange.request_id, caller, &options, &headers, &body);
    let (run, joined) = match claim {
        Ok(Claim::New(run)) => (run, false),
        Ok(Claim::Joined(run)) => (run, true),
        Err(rejection @ Rejection::AgentRestarted { .. }) => {
            let mut response = exchange.error_response(rejection.into());
            announce_keys("supported", runs, &mut response);
            return Ok(response);
        }
        Err(rejection) => return Err(rejection.into()),
    };
    let exchange = Exchange {
        request_id: run.id.clone(),
        ..exchange.clone()
    };
    let mut response = if joined {
        exchange.trace.joined(run.id.as_str());
        if options.on_disconnect == OnDisconnect::Continue {
            run.keep_running();
        }
        match RunReader::attach(&run, 0) {
            Ok(_) if options.respond_async => {
                run.recorded().await;
                accepted(&run, &exchange)
            }
            Ok(reader) => answer(reader, &exchange, invoker, options.stream_ids).await,
            Err(rejection) => exchange.error_response(rejection.into()),
        }
    } else {
        if runs.settings().inspects {
            run.inspect_request(body.clone());
        }
        let reader = RunReader::attach(&run, 0)?;
        let on_start = std::mem::take(&mut options.on_start);
        let started = if runs.journal()?.is_some() {
            crate::invocation::share_body(invoker, &body);
            start_recorded(runs, invoker, &exchange, &run, (body, context), on_start).await
        } else {
            start(runs, invoker, &exchange, &run, (body, context), on_start)
        };
        match started {
            Ok(()) if options.respond_async => accepted(&run, &exchange),
            _ => answer(reader, &exchange, invoker, options.stream_ids).await,
        }
    };
    if options.key.is_some() {
        let value = if joined { "replayed" } else { "supported" };
        announce_keys(value, runs, &mut response);
    }
    response
        .extensions_mut()
        .insert(AnswerId(exchange.request_id));
    Ok(response)
}

/// Adds the headers that announce the handling of idempotency keys, and the instance that keeps
/// them.
pub(crate) fn announce_keys(value: &'static str, runs: &RunRegistry, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(PPIO_IDEMPOTENCY, HeaderValue::from_static(value));
    headers.insert(PPIO_INSTANCE, runs.instance().clone());
}

/// Starts a run once its start is written to the journal, even if its caller has disconnected by
/// then.
async fn start_recorded(
    runs: &Arc<RunRegistry>,
    invoker: &Invoker,
    exchange: &Exchange,
    run: &Arc<Run>,
    request: (Bytes, RequestContext),
    on_start: OnStart,
) -> Result<(), ()> {
    let (runs, run) = (Arc::clone(runs), Arc::clone(run));
    let invoker = invoker.for_connection();
    let exchange = exchange.clone();
    let starting = tokio::spawn(async move {
        if !run.recorded().await {
            return Err(());
        }
        start(&runs, &invoker, &exchange, &run, request, on_start)
    });
    starting.await.unwrap_or(Err(()))
}

/// Starts the task of a new run. If the invocation is refused before its function is called, the
/// run ends with the error of the refusal and is not kept.
fn start(
    runs: &Arc<RunRegistry>,
    invoker: &Invoker,
    exchange: &Exchange,
    run: &Arc<Run>,
    (body, context): (Bytes, RequestContext),
    on_start: OnStart,
) -> Result<(), ()> {
    // The value is stored without an envelope, which is added for callers that expect one.
    let format = if exchange.format.marks_chat_events() {
        exchange.format
    } else {
        RequestedFormat::AgentCore
    };
    let exchange = Exchange {
        format,
        ..exchange.clone()
    };
    let context = if context.request_id() == exchange.request_id.as_str() {
        context
    } else {
        let id = exchange.request_id.as_str();
        exchange.span.record("request_id", id);
        context.with_request_id(exchange.request_id.clone())
    };
    let leftovers = runs.settings().inspects.then(|| {
        let background = invoker.tasks();
        Leftovers::begin(runs, background, &context, &exchange.span)
    });
    let started = begin(invoker, &exchange, body, context);
    match started {
        Ok((invocation, guard)) => {
            let max_silence = invoker.settings().timeout;
            let producer = Producer {
                run: Arc::clone(run),
                source: AnswerSource::Handler(invocation),
                guard,
                span: exchange.span.clone(),
                deadline: exchange.deadline,
                started: exchange.started,
                max_silence,
                silent_since: Instant::now(),
                timer: None,
                progress: InvocationProgress::default(),
                _running: runs.tasks().start("run", None),
            };
            if let Some(leftovers) = leftovers {
                tokio::spawn(leftovers.watch(producer));
            } else {
                tokio::spawn(producer);
            }
            on_start.call(run);
            Ok(())
        }
        Err(error) => {
            runs.forget(run);
            run.refuse(error, exchange.started.elapsed());
            Err(())
        }
    }
}

fn begin(
    invoker: &Invoker,
    exchange: &Exchange,
    body: Bytes,
    context: RequestContext,
) -> Result<
    (
        crate::invocation::executor::InvocationFuture,
        InvocationGuard,
    ),
    Error,
> {
    let mut guard = InvocationGuard::begin(invoker.admission(), exchange, context.clone())?;
    match crate::invocation::start(invoker, exchange, body, context) {
        Ok(invocation) => Ok((invocation, guard)),
        Err(error) => Err(guard.failed(error)),
    }
}

/// Returns the response to a caller that does not wait for the run.
fn accepted(run: &Run, exchange: &Exchange) -> Response {
    #[derive(Serialize)]
    struct AcceptedRun<'a> {
        id: &'a str,
        status: &'static str,
    }
    let body = json::to_bytes(&AcceptedRun {
        id: run.id.as_str(),
        status: run.status().as_str(),
    });
    let mut response = json::response(StatusCode::ACCEPTED, body);
    exchange.announce(ResponseFormat::Value, &mut response);
    let headers = response.headers_mut();
    let location = format!("/invocations/{}", run.id.path_segment());
    // An id contains only characters that are valid in a header.
    if let Ok(location) = HeaderValue::from_str(&location) {
        headers.insert(LOCATION, location);
    }
    headers.insert(
        PREFERENCE_APPLIED,
        HeaderValue::from_static("respond-async"),
    );
    response
}

/// Waits until the answer of a run begins, and returns it as a response.
async fn answer(
    reader: RunReader,
    exchange: &Exchange,
    invoker: &Invoker,
    with_ids: bool,
) -> Response {
    match reader.answer().await {
        AnswerHead::Logged(LoggedHead::Events) => events(reader, exchange, invoker, with_ids),
        AnswerHead::Logged(LoggedHead::Response(head)) => {
            let body = reader.into_body(ReadFormat::Response, exchange.format, None);
            let mut response = Response::new(Body::stream(body));
            *response.status_mut() = head.0;
            *response.headers_mut() = head.1.clone();
            exchange.announce(ResponseFormat::Value, &mut response);
            response
        }
        AnswerHead::Ended(Answer::Value(value)) => {
            let id = exchange.request_id.as_str();
            exchange.value_response(value.body(exchange.format, id))
        }
        AnswerHead::Ended(Answer::Failed(error, duration)) => {
            exchange.error_response_after(error, duration)
        }
        AnswerHead::Ended(Answer::Dropped | Answer::Logged) => {
            exchange.error_response(reader.run().answer_gone().into())
        }
    }
}

/// Returns the items of a run as an event stream.
fn events(reader: RunReader, exchange: &Exchange, invoker: &Invoker, with_ids: bool) -> Response {
    let format = if with_ids {
        ReadFormat::EventsWithIds
    } else {
        ReadFormat::Events
    };
    let body = reader.into_body(format, exchange.format, invoker.settings().heartbeat);
    let mut response = event_stream(exchange, Body::stream(body));
    if with_ids {
        let headers = response.headers_mut();
        headers.insert(PPIO_STREAM_IDS, HeaderValue::from_static("true"));
    }
    response
}

/// Returns the run with this id, if the sender of the request may see it.
pub(crate) fn find(
    runs: &RunRegistry,
    headers: &HeaderMap,
    id: &str,
) -> Result<Arc<Run>, Rejection> {
    let caller = runs.caller(headers, session_header(headers));
    runs.find(id, &caller)
}

/// Answers in the same way as the `POST` request that started the run.
pub(crate) async fn replay(
    run: &Arc<Run>,
    exchange: &Exchange,
    invoker: &Invoker,
    headers: &HeaderMap,
) -> Result<Response, Rejection> {
    let with_ids = options::stream_ids(headers)?;
    let reader = RunReader::attach(run, 0)?;
    let exchange = Exchange {
        request_id: run.id.clone(),
        ..exchange.clone()
    };
    let mut response = answer(reader, &exchange, invoker, with_ids).await;
    response
        .extensions_mut()
        .insert(AnswerId(exchange.request_id));
    Ok(no_store(response))
}

/// Answers with the items of a run after the last one that the caller has received, with ids.
pub(crate) fn resume(
    run: &Arc<Run>,
    exchange: &Exchange,
    invoker: &Invoker,
    last_event_id: u64,
) -> Result<Response, Rejection> {
    let reader = RunReader::attach(run, last_event_id)?;
    Ok(events(reader, exchange, invoker, true))
}

/// Adds `Cache-Control: no-store`, unless the header is present, since the state of a run changes.
pub(crate) fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
