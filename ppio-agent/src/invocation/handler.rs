//! What an entrypoint becomes: a function that starts one call.

use std::any::Any;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tracing::{Instrument as _, Span};

use crate::endpoints::request_schema::Schema;
use crate::exchange::context::{self, AgentRuntimeContext, RequestContext};
use crate::exchange::error::Error;
use crate::exchange::json::Style;
use crate::invocation::event_buffer::{Outlet, Place};
use crate::invocation::executor::HandlerFuture;
use crate::invocation::payload;
use crate::invocation::reply::{IntoReply, Outcome};

/// An entrypoint of any shape. Shared by all connections, hence the `Arc`; called through a
/// pointer once a request, which is nothing beside parsing one.
pub(crate) type Handler = Arc<dyn Fn(Call) -> Result<Job, Error> + Send + Sync>;

/// One invocation on its way into the author's function.
pub struct Call {
    pub(crate) input: Input,
    pub(crate) context: RequestContext,
    pub(crate) style: Style,
    pub(crate) span: Span,
    pub(crate) started: Instant,
}

/// What an entrypoint is called with.
pub(crate) enum Input {
    /// The body of a request.
    Body(Bytes),
    /// Nothing: only what the request should look like is asked for. The place for the answer keeps
    /// the macro's expansion, and whatever implements [`Entrypoint`], free of a second function.
    Question(Arc<OnceLock<Schema>>),
}

/// Asks an entrypoint what it takes. None of the author's code runs but the request's `Deserialize`.
pub(crate) fn request_schema(handler: &Handler) -> Option<Schema> {
    let answer = Arc::default();
    // Ends in the error below, before the function is called.
    let _ = handler(Call {
        input: Input::Question(Arc::clone(&answer)),
        context: RequestContext::new(),
        style: Style::Envelope,
        span: Span::none(),
        started: Instant::now(),
    });
    Arc::into_inner(answer)?.into_inner()
}

/// A started invocation: a future and the place where it is polled first.
pub struct Job {
    pub(crate) future: HandlerFuture,
    pub(crate) outlet: Outlet,
}

/// What an entrypoint can take as its request.
#[diagnostic::on_unimplemented(
    message = "the request of an entrypoint cannot be `{Self}`",
    label = "does not implement `serde::Deserialize`",
    note = "help: add `#[derive(serde::Deserialize)]` to the type, or take `ppio::Value`"
)]
pub trait AgentRequest: Sized + 'static {
    #[doc(hidden)]
    fn parse(body: &[u8]) -> Result<Self, Error>;
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the schema is for the runtime alone")]
    fn schema() -> Schema;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> AgentRequest for T {
    fn parse(body: &[u8]) -> Result<Self, Error> {
        payload::parse(body)
    }

    #[expect(private_interfaces, reason = "see the trait")]
    fn schema() -> Schema {
        Schema::of::<T>()
    }
}

/// A request that can move to the thread where the author's function runs.
#[diagnostic::on_unimplemented(
    message = "the request of an entrypoint cannot be `{Self}`, which is not `Send`",
    label = "cannot be sent between threads",
    note = "help: write `Arc` instead of `Rc` in the type"
)]
pub trait SendRequest: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> SendRequest for T {}

impl Call {
    fn request<T: AgentRequest>(&mut self) -> Result<T, Error> {
        let body = match &self.input {
            Input::Body(body) => body,
            Input::Question(answer) => {
                answer.get_or_init(T::schema);
                return Err(Error::internal("there is no request, only a question"));
            }
        };
        let request = T::parse(body)?;
        if let Some(seconds) = context::requested_timeout(&request as &dyn Any) {
            // Longer than the limit is no wish that can be granted; the context ignores it.
            let timeout = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
            self.context.set_earlier_deadline(self.started + timeout);
        }
        Ok(request)
    }

    fn context(&self) -> RequestContext {
        self.context.clone()
    }

    fn on_worker<F, R>(self, run: F) -> Job
    where
        F: FnOnce(Outlet) -> R,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.start(Place::Worker, run)
    }

    fn on_blocking_thread<F, R>(self, run: F) -> Job
    where
        F: FnOnce(Outlet) -> R,
        R: Future<Output = Outcome> + Send + 'static,
    {
        self.start(Place::Blocking, run)
    }

    fn start<F, R>(self, place: Place, run: F) -> Job
    where
        F: FnOnce(Outlet) -> R,
        R: Future<Output = Outcome> + Send + 'static,
    {
        let outlet = Outlet::new(self.style, place);
        let future = AgentRuntimeContext::scope(self.context, run(outlet.clone()));
        // The one allocation per request that the handler costs: its future has no other name.
        let future: HandlerFuture = if self.span.is_none() {
            Box::pin(future)
        } else {
            Box::pin(future.instrument(self.span))
        };
        Job { future, outlet }
    }
}

/// Parses the body into the type of the author's first parameter.
pub fn request<T: AgentRequest + SendRequest>(call: &mut Call) -> Result<T, Error> {
    call.request()
}

/// The context, for an author who wants it.
pub fn context(call: &Call) -> RequestContext {
    call.context()
}

/// Runs an `async` function: on the async workers.
pub fn on_worker<F, R>(call: Call, run: F) -> Job
where
    F: FnOnce(Outlet) -> R,
    R: Future<Output = Outcome> + Send + 'static,
{
    call.on_worker(run)
}

/// Runs a plain function: on a blocking thread.
pub fn on_blocking_thread<F, R>(call: Call, run: F) -> Job
where
    F: FnOnce(Outlet) -> R,
    R: Future<Output = Outcome> + Send + 'static,
{
    call.on_blocking_thread(run)
}

/// The second parameter of an entrypoint, under whatever name its author knows the type.
#[diagnostic::on_unimplemented(
    message = "the second parameter of an entrypoint must be `ppio::RequestContext`, not `{Self}`",
    label = "expected the context",
    note = "help: write `ppio::RequestContext` or `&ppio::RequestContext`"
)]
pub trait PassContext<'a> {
    #[doc(hidden)]
    fn pass(context: &'a RequestContext) -> Self;
}

#[diagnostic::do_not_recommend]
impl<'a> PassContext<'a> for RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<'a> PassContext<'a> for &'a RequestContext {
    fn pass(context: &'a RequestContext) -> Self {
        context
    }
}

/// The context as the author's function takes it.
pub fn pass_context<'a, C: PassContext<'a>>(context: &'a RequestContext) -> C {
    C::pass(context)
}

/// A closure or function that can be an entrypoint without the macro: it takes the request and
/// optionally the context, is `async` or not, and returns an [`IntoReply`].
///
/// `Marker` tells the four signatures apart; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entrypoint",
    label = "not an entrypoint",
    note = "help: take the request and optionally a `ppio::RequestContext`, and return a type that implements `ppio::IntoReply`"
)]
pub trait Entrypoint<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn start(&self, call: Call) -> Result<Job, Error>;
}

/// Marks an asynchronous entrypoint.
#[derive(Debug)]
pub struct Async<T>(T);
/// Marks a synchronous entrypoint.
#[derive(Debug)]
pub struct Blocking<T>(T);

impl<F, T, R> Entrypoint<Async<(T,)>> for F
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: AgentRequest + Send,
    R: Future<Output: IntoReply> + Send + 'static,
{
    fn start(&self, mut call: Call) -> Result<Job, Error> {
        let future = self(call.request()?);
        Ok(call.on_worker(|outlet| async move { future.await.deliver(outlet).await }))
    }
}

impl<F, T, R> Entrypoint<Async<(T, RequestContext)>> for F
where
    F: Fn(T, RequestContext) -> R + Send + Sync + 'static,
    T: AgentRequest + Send,
    R: Future<Output: IntoReply> + Send + 'static,
{
    fn start(&self, mut call: Call) -> Result<Job, Error> {
        let future = self(call.request()?, call.context());
        Ok(call.on_worker(|outlet| async move { future.await.deliver(outlet).await }))
    }
}

impl<F, T, R> Entrypoint<Blocking<(T,)>> for F
where
    F: Fn(T) -> R + Clone + Send + Sync + 'static,
    T: AgentRequest + Send,
    R: IntoReply + Send + 'static,
{
    fn start(&self, mut call: Call) -> Result<Job, Error> {
        let (request, function) = (call.request()?, self.clone());
        Ok(
            call.on_blocking_thread(
                |outlet| async move { function(request).deliver(outlet).await },
            ),
        )
    }
}

impl<F, T, R> Entrypoint<Blocking<(T, RequestContext)>> for F
where
    F: Fn(T, RequestContext) -> R + Clone + Send + Sync + 'static,
    T: AgentRequest + Send,
    R: IntoReply + Send + 'static,
{
    fn start(&self, mut call: Call) -> Result<Job, Error> {
        let (request, context, function) = (call.request()?, call.context(), self.clone());
        Ok(call.on_blocking_thread(|outlet| async move {
            function(request, context).deliver(outlet).await
        }))
    }
}
