//! User code around the endpoints.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::exchange::Exchange;
use crate::exchange::body::{Request, Response};
use crate::exchange::error::{BoxError, Error, ErrorChain};
use crate::lifecycle::State;
use crate::lifecycle::states::{StateLookup, StateSlot};
use crate::stalls::{AsyncFunctions, FunctionName, Watch};

/// The return type of middleware: a [`Response`], or a `Result` whose error becomes a response.
#[diagnostic::on_unimplemented(
    message = "middleware cannot return `{Self}`",
    label = "not a response",
    note = "help: return `ppio::Response`, or `Result<ppio::Response, ppio::Error>`"
)]
pub trait IntoResponse {
    /// Returns the response or the error.
    ///
    /// # Errors
    /// If the middleware returned an error.
    fn into_response(self) -> Result<Response, Error>;
}

#[diagnostic::do_not_recommend]
impl IntoResponse for Response {
    fn into_response(self) -> Result<Response, Error> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> IntoResponse for Result<Response, E> {
    fn into_response(self) -> Result<Response, Error> {
        self.map_err(Error::from_boxable)
    }
}

/// Creates middleware from an annotated function.
pub fn middleware<F, R>(middleware: F, order: i32, all: bool) -> Middleware
where
    F: Fn(Request, Next) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response, Error>> + Send + 'static,
{
    Middleware::new(middleware, order, all)
}

/// Converts the value that an annotated function returned.
pub fn into_response<A: IntoResponse>(answer: A) -> Result<Response, Error> {
    answer.into_response()
}

/// The first parameter of middleware. A macro has no type information, so this trait checks the
/// type.
#[diagnostic::on_unimplemented(
    message = "the first parameter of middleware must be `ppio::Request`, not `{Self}`",
    label = "expected `ppio::Request`",
    note = "help: write `ppio::Request`"
)]
pub trait PassRequest {
    #[doc(hidden)]
    fn pass(request: Request) -> Self;
}

#[diagnostic::do_not_recommend]
impl PassRequest for Request {
    fn pass(request: Request) -> Self {
        request
    }
}

/// Converts the request to the type of the first parameter.
pub fn pass_request<T: PassRequest>(request: Request) -> T {
    T::pass(request)
}

/// The second parameter of middleware. A macro has no type information, so this trait checks the
/// type.
#[diagnostic::on_unimplemented(
    message = "the second parameter of middleware must be `ppio::Next`, not `{Self}`",
    label = "expected `ppio::Next`",
    note = "help: write `ppio::Next`"
)]
pub trait PassNext {
    #[doc(hidden)]
    fn pass(next: Next) -> Self;
}

#[diagnostic::do_not_recommend]
impl PassNext for Next {
    fn pass(next: Next) -> Self {
        next
    }
}

/// Converts the [`Next`] to the type of the second parameter.
pub fn pass_next<T: PassNext>(next: Next) -> T {
    T::pass(next)
}

/// The future of middleware or of an endpoint.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// One middleware function, its order and its routes.
#[derive(Clone)]
pub struct Middleware {
    run: Arc<dyn Fn(Request, Next) -> ResponseFuture + Send + Sync>,
    order: i32,
    all: bool,
    name: Option<FunctionName>,
    /// Watches the function while it is polled.
    watch: Watch,
}

impl Middleware {
    /// Creates middleware from a function. The lowest `order` is outermost; `all` wraps every
    /// route.
    pub fn new<F, R>(middleware: F, order: i32, all: bool) -> Self
    where
        F: Fn(Request, Next) -> R + Send + Sync + 'static,
        R: Future<Output: IntoResponse> + Send + 'static,
    {
        Self {
            run: Arc::new(move |request, next| {
                let future = middleware(request, next);
                Box::pin(async move { future.await.into_response() })
            }),
            order,
            all,
            name: None,
            watch: Watch::OFF,
        }
    }

    /// Sets the name of the function.
    pub(crate) fn named(mut self, name: FunctionName) -> Self {
        self.name = Some(name);
        self
    }

    /// Adds the function to the watched functions.
    pub(crate) fn watch(&mut self, functions: &mut AsyncFunctions) {
        self.watch = functions.add_some(self.name.as_ref());
    }
}

/// A closure or function that can be added to the builder as middleware, with one to four
/// [`State`]s after the request and the `Next`. `Marker` distinguishes the signatures and is
/// inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not middleware with states",
    label = "not middleware with states",
    note = "help: take a `ppio::Request`, a `ppio::Next` and one to four parameters of type `ppio::State<T>`, be `async`, and return a `ppio::Response` or a `Result` of it"
)]
pub trait MiddlewareWithState<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_middleware(self, states: &mut StateLookup<'_>, all: bool) -> Middleware;
}

macro_rules! middleware_with_states {
    ($(($($state:ident $slot:ident),*))*) => {$(
        impl<F, R, $($state),*> MiddlewareWithState<($(State<$state>,)*)> for F
        where
            F: Fn(Request, Next, $(State<$state>),*) -> R + Send + Sync + 'static,
            R: Future<Output: IntoResponse> + Send + 'static,
            $($state: Send + Sync + 'static,)*
        {
            fn into_middleware(self, states: &mut StateLookup<'_>, all: bool) -> Middleware {
                $(let $slot: StateSlot<$state> = states.slot();)*
                let run = move |request, next| self(request, next, $($slot.state()),*);
                Middleware::new(run, 0, all)
            }
        }
    )*};
}

middleware_with_states! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}

/// The middleware around the routes, outermost first.
pub(crate) struct MiddlewareChains {
    pub(crate) invocations: Arc<[Middleware]>,
    pub(crate) others: Arc<[Middleware]>,
}

impl MiddlewareChains {
    /// Sorts middleware by its order; middleware of the same order keeps its position.
    pub(crate) fn new(mut all: Vec<Middleware>) -> Self {
        all.sort_by_key(|middleware| middleware.order);
        Self {
            others: all
                .iter()
                .filter(|middleware| middleware.all)
                .cloned()
                .collect(),
            invocations: all.into(),
        }
    }
}

/// The endpoint at the end of a chain.
pub(crate) type Endpoint = Box<dyn FnOnce(Request) -> ResponseFuture + Send>;

/// The part of the chain inside a middleware function: the inner middleware and the endpoint.
pub struct Next {
    exchange: Exchange,
    chain: Arc<[Middleware]>,
    position: usize,
    endpoint: Endpoint,
}

impl Next {
    pub(crate) fn new(exchange: Exchange, chain: Arc<[Middleware]>, endpoint: Endpoint) -> Self {
        Self {
            exchange,
            chain,
            position: 0,
            endpoint,
        }
    }

    /// Passes the request on and returns the response.
    ///
    /// Errors of inner middleware and of the endpoint are responses already, with the status and
    /// the body that the caller receives. The [`Error`] itself is in the response's extensions:
    /// `response.extensions().get::<ppio::Error>()`.
    pub async fn run(mut self, request: Request) -> Response {
        let exchange = self.exchange.clone();
        let result = match self.chain.get(self.position) {
            Some(middleware) => {
                let (run, watch) = (Arc::clone(&middleware.run), middleware.watch);
                self.position += 1;
                // The function is called within the future, so that the code that a closure runs
                // before it returns its future is watched as well.
                let run = async move { run(request, self).await };
                let result = watch.run(exchange.request_id.as_bytes(), run).await;
                if let Err(error) = &result {
                    log_error(error);
                }
                result
            }
            None => (self.endpoint)(request).await,
        };
        result.unwrap_or_else(|error| exchange.error_response(error))
    }
}

/// Logs the error of middleware. Errors of the endpoint are logged by the endpoint.
fn log_error(error: &Error) {
    let (status, error_type) = (error.status(), error.error_type());
    let (error, status) = (ErrorChain(error), status.as_u16());
    if status >= 500 {
        tracing::error!(%error, error_type, status, "middleware failed");
    } else {
        // At `debug`, so that invalid requests cannot fill the log.
        tracing::debug!(%error, error_type, status, "middleware rejected the request");
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("left", &(self.chain.len() - self.position))
            .finish_non_exhaustive()
    }
}
