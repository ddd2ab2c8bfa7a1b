//! `POST /invocations`: from a request to the user function and back.

pub(crate) mod autoref;
pub(crate) mod blocking_pool;
pub(crate) mod call;
pub(crate) mod counters;
pub(crate) mod event_buffer;
pub(crate) mod executor;
pub(crate) mod exemplars;
pub(crate) mod guard;
pub(crate) mod handler;
pub(crate) mod histogram;
mod invoker;
mod mismatch;
pub(crate) mod parameter;
pub(crate) mod payload;
pub(crate) mod reply;
mod response;
pub(crate) mod session_gate;
pub(crate) mod sse_body;
mod user_body;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::timeout_at;

use self::call::Call;
use self::executor::{InvocationFuture, Job};
use self::guard::InvocationGuard;
use self::handler::Handler;
pub(crate) use self::invoker::{Invoker, InvokerWatches};
use self::reply::Outcome;
#[cfg(feature = "chat")]
pub(crate) use self::response::WrittenEvents;
use self::response::respond;
pub(crate) use self::response::{event_stream, user_response};
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;

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
/// hyper copies the future of an invocation, which contains this type. So the future is kept small:
/// it borrows from its caller, and the future that waits for a handler, which most requests do not
/// need, is boxed.
pub(crate) struct AdmittedInvocation {
    guard: InvocationGuard,
    body: Body,
}

impl AdmittedInvocation {
    /// Creates the context of the invocation, counts it, and checks its headers unless they are
    /// known to be those of plain JSON.
    pub(crate) fn new(
        invoker: &Invoker,
        exchange: &Exchange,
        request: Request,
        is_plain_json: bool,
    ) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let context = invoker.context(exchange, parts.headers, parts.extensions);
        let mut guard = InvocationGuard::begin(invoker.admission(), exchange, context)?;
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

    /// Returns the response of an invocation that [`run`](Self::run) has begun.
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

/// Sets the body in the context of middleware, so that the session of that context can be read from
/// the body as well.
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

/// Waits until a response begins, at most until the deadline.
pub(crate) async fn wait<T>(
    mut head: impl Future<Output = T> + Unpin,
    exchange: &Exchange,
    guard: &mut InvocationGuard,
) -> Result<T, Error> {
    let deadline = guard.context().deadline().unwrap_or(exchange.deadline);
    // Only one timer runs at a time: first the one that marks the invocation as long, if the
    // deadline is later.
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
