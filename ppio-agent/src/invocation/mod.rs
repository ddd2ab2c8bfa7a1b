//! `POST /invocations`: from a request to the user function and back.

pub(crate) mod autoref;
pub(crate) mod blocking_pool;
mod call;
pub(crate) mod counters;
pub(crate) mod event_buffer;
pub(crate) mod executor;
pub(crate) mod exemplars;
pub(crate) mod guard;
pub(crate) mod handler;
pub(crate) mod histogram;
mod mismatch;
pub(crate) mod parameter;
pub(crate) mod payload;
pub(crate) mod reply;
pub(crate) mod session_gate;
pub(crate) mod sse_body;
mod user_body;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use ppio_agent_protocol::{ResponseFormat, sse};
use tokio::sync::watch;
use tokio::time::timeout_at;

use self::blocking_pool::BlockingPool;
use self::call::Call;
use self::counters::{Counters, Progress};
use self::executor::{InvocationFuture, Job};
use self::guard::{Admission, InvocationGuard};
use self::handler::Handler;
use self::reply::Outcome;
use self::session_gate::{SessionGate, SessionTurn};
use self::sse_body::{SseBody, StreamLimits};
use self::user_body::UserBody;
use crate::exchange::Exchange;
use crate::exchange::agent_envelope::AgentEnvelope;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::caller_deadline::CallerDeadline;
use crate::exchange::context::{AgentRuntimeContext, ContextShared, NewContext, RequestContext};
use crate::exchange::error::Error;
use crate::exchange::header_names::X_ACCEL_BUFFERING;
use crate::exchange::json;
use crate::exchange::per_connection::PerConnection;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::exchange::scoped_body::scoped;
use crate::exchange::task_tracker::TaskTracker;
use crate::stalls::Watch;

/// Watches the functions that an [`Invoker`] calls while they are polled.
#[derive(Clone, Copy)]
pub(crate) struct InvokerWatches {
    pub(crate) entrypoint: Watch,
    /// Background tasks.
    pub(crate) tasks: Watch,
}

/// Runs the invocations of one connection.
pub(crate) struct Invoker {
    handler: Handler,
    admission: PerConnection<Admission>,
    pool: BlockingPool,
    has_middleware: bool,
    shared: PerConnection<ContextShared>,
    sessions: Option<Arc<SessionGate>>,
}

impl Invoker {
    pub(crate) fn new(
        handler: Handler,
        settings: RuntimeSettings,
        has_middleware: bool,
        shutdown: watch::Receiver<()>,
        watches: InvokerWatches,
    ) -> Self {
        let admission = Admission::new(&settings, shutdown, watches.entrypoint);
        Self {
            handler,
            admission: PerConnection::new(admission),
            pool: BlockingPool::new(settings.blocking_threads),
            has_middleware,
            sessions: SessionGate::new(settings.session_concurrency, settings.session_queue),
            shared: PerConnection::new(ContextShared {
                settings,
                tasks: TaskTracker::new(),
                task_watch: watches.tasks,
            }),
        }
    }

    /// The same invoker for another connection.
    pub(crate) fn for_connection(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            admission: self.admission.for_connection(),
            pool: self.pool.for_connection(),
            has_middleware: self.has_middleware,
            shared: self.shared.for_connection(),
            sessions: self.sessions.clone(),
        }
    }

    pub(crate) fn settings(&self) -> &RuntimeSettings {
        &self.shared.settings
    }

    /// The context of a request.
    pub(crate) fn context(
        &self,
        exchange: &Exchange,
        headers: HeaderMap,
        extensions: Extensions,
    ) -> RequestContext {
        RequestContext::from(NewContext {
            request_id: exchange.request_id.clone(),
            headers,
            extensions,
            deadline: exchange.deadline,
            requested_deadline: exchange.requested_deadline,
            trace: exchange.trace.clone(),
            shared: self.shared.clone(),
        })
    }

    pub(crate) fn admission(&self) -> &PerConnection<Admission> {
        &self.admission
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn blocking_pool(&self) -> &BlockingPool {
        &self.pool
    }

    /// The background tasks that invocations started.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// Whether background work or an invocation runs for so long that the sandbox has to stay.
    pub(crate) fn is_busy(&self) -> bool {
        self.tasks().running() > 0 || self.admission.has_long()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.admission.counters
    }
}

/// Answers one invocation.
pub(crate) async fn invoke(
    invoker: &Invoker,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let mut admitted = AdmittedInvocation::new(invoker, exchange, request, false)?;
    let begun = admitted.run(invoker, exchange).await;
    admitted.respond(invoker, exchange, begun)
}

/// An invocation that may start. Its body has not been read.
///
/// hyper copies the future of an invocation, which has this in it. So the future is kept small: it
/// borrows what a caller owns, and waiting for a handler, which most requests do not need, is boxed.
pub(crate) struct AdmittedInvocation {
    guard: InvocationGuard,
    body: Body,
}

impl AdmittedInvocation {
    /// Makes the context of the invocation, counts it, and checks its headers unless they are
    /// known to be those of plain JSON.
    pub(crate) fn new(
        invoker: &Invoker,
        exchange: &Exchange,
        request: Request,
        is_plain_json: bool,
    ) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let context = invoker.context(exchange, parts.headers, parts.extensions);
        let mut guard = InvocationGuard::begin(&invoker.admission, exchange, context)?;
        if !is_plain_json && let Err(rejection) = payload::check_headers(guard.context().headers())
        {
            return Err(guard.failed(rejection.into()));
        }
        Ok(Self { guard, body })
    }

    /// Runs the handler until it is done or has begun a stream.
    pub(crate) async fn run(
        &mut self,
        invoker: &Invoker,
        exchange: &Exchange,
    ) -> Result<BegunInvocation, Error> {
        let body = payload::read_body(&mut self.body).await?;
        let context = self.guard.context().clone();
        let mut invocation = start(invoker, exchange, body, context)?;
        // Most handlers that do not wait for anything are done at the first poll.
        let guard = &self.guard;
        let first = poll_fn(|cx| Poll::Ready(guard.poll(|| poll_head(&mut invocation, cx)))).await;
        let head = match first {
            Poll::Ready(head) => head,
            Poll::Pending => {
                let (watch, context) = (self.guard.watch(), self.guard.context().clone());
                let head = poll_fn(|cx| {
                    watch.poll(context.request_id_bytes(), || {
                        poll_head(&mut invocation, cx)
                    })
                });
                Box::pin(wait(head, exchange, &mut self.guard)).await?
            }
        };
        Ok((invocation, head))
    }

    /// The response of an invocation that has run so far.
    pub(crate) fn respond(
        mut self,
        invoker: &Invoker,
        exchange: &Exchange,
        begun: Result<BegunInvocation, Error>,
    ) -> Result<Response, Error> {
        match begun {
            Ok((invocation, head)) => respond(invoker, exchange, invocation, head, self.guard),
            Err(error) => Err(self.guard.failed(error)),
        }
    }
}

/// An invocation with its outcome, or `None` for a stream that has begun.
type BegunInvocation = (InvocationFuture, Option<Outcome>);

/// Starts the handler, which parses the body.
pub(crate) fn start(
    invoker: &Invoker,
    exchange: &Exchange,
    body: Bytes,
    context: RequestContext,
) -> Result<InvocationFuture, Error> {
    share_body(invoker, &body);
    context.set_body(body);
    record_session(exchange, &context);
    let session = || context.session_id().map(str::to_owned);
    exchange.trace.called(session, context.body());
    let turns = invoker.sessions.as_ref().and_then(|gate| {
        let session = context.session_id()?;
        Some((gate, session.to_owned()))
    });
    let format = exchange.format;
    let call = Call {
        context,
        format,
        span: exchange.span.clone(),
        started: exchange.started,
    };
    let pool = invoker.pool.clone();
    let Some((gate, session)) = turns else {
        let job = call_handler(&invoker.handler, call)?;
        return Ok(InvocationFuture::new(job, pool, None));
    };
    if gate.interrupts() {
        let job = call_handler(&invoker.handler, call)?;
        let turn = Box::new(gate.enter(&session)?);
        return Ok(InvocationFuture::new(job, pool, Some(turn)));
    }
    let turn = Box::new(gate.enter(&session)?);
    if turn.is_ready() {
        let job = call_handler(&invoker.handler, call)?;
        return Ok(InvocationFuture::new(job, pool, Some(turn)));
    }
    let handler = Arc::clone(&invoker.handler);
    let start = move || call_handler(&handler, call);
    Ok(InvocationFuture::waiting(start, format, pool, turn))
}

/// Middleware runs in a context of its own, which takes the session from the body as well.
pub(crate) fn share_body(invoker: &Invoker, body: &Bytes) {
    if invoker.has_middleware
        && let Some(outer) = AgentRuntimeContext::current()
    {
        outer.set_body(body.clone());
    }
}

fn call_handler(handler: &Handler, call: Call) -> Result<Job, Error> {
    // The call is not used again after a panic in the request's `Deserialize`.
    catch_unwind(AssertUnwindSafe(|| handler(call)))
        .unwrap_or_else(|panic| Err(Error::from_panic(panic.as_ref())))
}

/// Adds the session, which may be in the body, to the span of the invocation.
fn record_session(exchange: &Exchange, context: &RequestContext) {
    if !exchange.span.is_disabled()
        && let Some(id) = context.session_id()
    {
        exchange.span.record("session_id", id);
    }
}

/// Polls the handler until it is done or has begun a stream (`None`).
fn poll_head(invocation: &mut InvocationFuture, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
    match Pin::new(&mut *invocation).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if invocation.buffer().is_streaming() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }
}

/// Waits for the head of a response until the deadline.
pub(crate) async fn wait<T>(
    mut head: impl Future<Output = T> + Unpin,
    exchange: &Exchange,
    guard: &mut InvocationGuard,
) -> Result<T, Error> {
    let deadline = guard.context().deadline().unwrap_or(exchange.deadline);
    // One timer at a time: first for the invocation to be long, if the deadline is later.
    if let Some(long) = guard.becomes_long_at()
        && long < deadline
    {
        match timeout_at(long.into(), &mut head).await {
            Ok(head) => return Ok(head),
            Err(_) => guard.mark_long(),
        }
    }
    let head = timeout_at(deadline.into(), head).await;
    head.map_err(|_| Rejection::TimedOut(deadline - exchange.started).into())
}

fn respond(
    invoker: &Invoker,
    exchange: &Exchange,
    mut invocation: InvocationFuture,
    head: Option<Outcome>,
    mut guard: InvocationGuard,
) -> Result<Response, Error> {
    match head {
        Some(Outcome::Value(value)) => {
            let duration = guard.responded(StatusCode::OK, Progress::default());
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

/// An envelope that the handler filled. With the status `error` the invocation failed.
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
    let duration = guard.responded(StatusCode::OK, Progress::default());
    Ok(exchange.value_response(if exchange.format.has_envelope() {
        envelope.into_body(duration, queue_time, id)
    } else {
        envelope.into_result()
    }))
}

/// A response that user code made. The invocation ends when its body does.
pub(crate) fn user_response(
    exchange: &Exchange,
    response: Response,
    mut guard: InvocationGuard,
    turn: Option<Box<SessionTurn>>,
) -> Response {
    let status = response.status();
    if !response.body().is_user_body() {
        guard.responded(status, Progress::default());
        return response;
    }
    let context = guard.context().clone();
    let deadline = caller_deadline(exchange, &guard);
    response.map(|body| {
        let body = body.wrap(|body| UserBody::new(body, status, guard, turn, deadline));
        scoped(body, context, &exchange.span)
    })
}

/// When the whole invocation has to end, where the caller sets a timeout.
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

/// In the extensions of a response for a protocol: the runtime wrote its events, so that the data of
/// each is JSON.
#[cfg(feature = "chat")]
#[derive(Clone)]
pub(crate) struct WrittenEvents;

/// A response that is an event stream.
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
