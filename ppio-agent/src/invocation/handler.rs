//! An entrypoint as the runtime calls it: a function that starts one invocation.

use std::any::Any;
#[cfg(feature = "schema")]
use std::any::TypeId;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ppio_agent_protocol::InvocationRequest;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::event_buffer::{EventBuffer, RunOn};
use super::executor::Job;
use super::parameter::Parameter;
use super::payload;
use super::reply::{IntoReply, Outcome};
use crate::exchange::error::Error;
use crate::lifecycle::states::StateLookup;

/// An entrypoint of any signature, shared by all connections.
pub(crate) type Handler = Arc<dyn Fn(Call) -> Result<Job, Error> + Send + Sync>;

/// A type that an entrypoint can take as its request.
#[diagnostic::on_unimplemented(
    message = "the request of an entrypoint cannot be `{Self}`",
    label = "does not implement `serde::Deserialize`",
    note = "help: add `#[derive(serde::Deserialize)]` to the type, or take `ppio::Value`"
)]
pub trait AgentRequest: Sized + 'static {
    #[doc(hidden)]
    fn parse(body: &[u8]) -> Result<Self, Error>;
    #[doc(hidden)]
    #[cfg(feature = "schema")]
    fn schema() -> ppio_agent_schema::Schema;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned + 'static> AgentRequest for T {
    fn parse(body: &[u8]) -> Result<Self, Error> {
        payload::parse(body)
    }

    #[cfg(feature = "schema")]
    fn schema() -> ppio_agent_schema::Schema {
        use ppio_agent_schema::Schema;
        // A generic function cannot determine whether `T` implements `JsonSchema`;
        // `InvocationRequest`, a type of the runtime, does.
        if TypeId::of::<T>() == TypeId::of::<InvocationRequest>() {
            Schema::described_request::<InvocationRequest>()
        } else {
            Schema::traced::<T>()
        }
    }
}

/// A request that can move to the thread on which the user function runs.
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
        let request = T::parse(self.context.body())?;
        if let Some(seconds) = requested_timeout(&request) {
            let timeout = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
            self.context.set_body_deadline(self.started + timeout);
        }
        Ok(request)
    }
}

/// Returns the `timeout` of an [`InvocationRequest`], in seconds.
fn requested_timeout<T: 'static>(request: &T) -> Option<u64> {
    let request: &dyn Any = request;
    request.downcast_ref::<InvocationRequest>()?.timeout
}

/// Parses the body into the type of the first parameter.
pub fn request<T: AgentRequest + SendRequest>(call: &mut Call) -> Result<T, Error> {
    call.request()
}

/// Creates a handler from a function that starts an invocation.
pub fn handler<F>(start: F) -> Handler
where
    F: Fn(Call) -> Result<Job, Error> + Send + Sync + 'static,
{
    Arc::new(start)
}

/// Starts an `async` function, on the async workers.
pub fn on_worker<F, R>(call: Call, run: F) -> Job
where
    F: FnOnce(EventBuffer) -> R,
    R: Future<Output = Outcome> + Send + 'static,
{
    call.start(RunOn::Async, run)
}

/// Starts a plain function, on a blocking thread.
pub fn on_blocking_thread<F, R>(call: Call, run: F) -> Job
where
    F: FnOnce(EventBuffer) -> R,
    R: Future<Output = Outcome> + Send + 'static,
{
    call.start(RunOn::Blocking, run)
}

/// A closure or function that can be an entrypoint without the macro: it takes the request, then up
/// to four further parameters (the context and [`State`](crate::State)s), may be `async`, and
/// returns an [`IntoReply`].
///
/// `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entrypoint",
    label = "not an entrypoint",
    note = "help: take the request, which implements `serde::Deserialize`, and optionally a `ppio::RequestContext` and `ppio::State`s",
    note = "help: return a value in `ppio::Json(..)`, a stream of `Result`s in `ppio::Sse(..)`, an iterator of `Result`s in `ppio::SseIter(..)`, or a `Result` of one of these",
    note = "help: make the items of a stream `Result`s with `.map(Ok::<_, ppio::Error>)`; a function with `#[ppio::entrypoint]` can return values, streams and iterators without a wrapper"
)]
pub trait Entrypoint<Marker>: Send + Sync + 'static {
    /// The type of the request.
    #[doc(hidden)]
    type Request: AgentRequest;

    #[doc(hidden)]
    fn into_handler(self, states: &mut StateLookup<'_>) -> Handler;
}

/// Marks an asynchronous entrypoint.
#[derive(Debug)]
pub struct Async<T>(T);
/// Marks a synchronous entrypoint.
#[derive(Debug)]
pub struct Blocking<T>(T);

macro_rules! entrypoints {
    ($(($($parameter:ident $source:ident),*))*) => {$(
        impl<F, T, R, $($parameter),*> Entrypoint<Async<(T, $($parameter,)*)>> for F
        where
            F: Fn(T, $($parameter),*) -> R + Send + Sync + 'static,
            T: AgentRequest + Send,
            R: Future<Output: IntoReply> + Send + 'static,
            $($parameter: Parameter,)*
        {
            type Request = T;

            #[allow(unused_variables, reason = "without further parameters")]
            fn into_handler(self, states: &mut StateLookup<'_>) -> Handler {
                $(let $source = $parameter::source(states);)*
                handler(move |mut call| {
                    let future = self(call.request()?, $($parameter::make(&$source, &call.context)),*);
                    Ok(on_worker(call, |buffer| async move {
                        future.await.deliver(buffer).await
                    }))
                })
            }
        }

        impl<F, T, R, $($parameter),*> Entrypoint<Blocking<(T, $($parameter,)*)>> for F
        where
            F: Fn(T, $($parameter),*) -> R + Clone + Send + Sync + 'static,
            T: AgentRequest + Send,
            R: IntoReply + Send + 'static,
            $($parameter: Parameter,)*
        {
            type Request = T;

            #[allow(unused_variables, reason = "without further parameters")]
            fn into_handler(self, states: &mut StateLookup<'_>) -> Handler {
                $(let $source = $parameter::source(states);)*
                handler(move |mut call| {
                    let (request, function) = (call.request()?, self.clone());
                    $(let $source = $parameter::make(&$source, &call.context);)*
                    Ok(on_blocking_thread(call, |buffer| async move {
                        function(request, $($source),*).deliver(buffer).await
                    }))
                })
            }
        }
    )*};
}

entrypoints! {
    ()
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}
