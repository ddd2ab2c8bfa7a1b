//! Code around the endpoints.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::exchange::body::{Request, Response};
use crate::exchange::error::{BoxError, Chain, Error};
use crate::invocation::autoref::{ConvertError as _, IsBoxable};
use crate::server::router::{Exchange, answer_endpoint};

/// What middleware may return: a [`Response`], or a `Result` whose error becomes one.
#[diagnostic::on_unimplemented(
    message = "middleware cannot return `{Self}`",
    label = "not a response",
    note = "help: return `ppio::Response`, or `Result<ppio::Response, ppio::Error>`"
)]
pub trait IntoResponse {
    /// The response or the error.
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
        self.map_err(IsBoxable::convert)
    }
}

/// Registers an annotated function.
pub fn middleware<F, R>(middleware: F, order: i32, all: bool) -> Middleware
where
    F: Fn(Request, Next) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Response, Error>> + Send + 'static,
{
    Middleware::new(middleware, order, all)
}

/// The response of an annotated function.
pub fn into_response<A: IntoResponse>(answer: A) -> Result<Response, Error> {
    answer.into_response()
}

/// The first parameter of middleware, under whatever name its author knows the type.
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

/// The request as the author's function takes it.
pub fn pass_request<T: PassRequest>(request: Request) -> T {
    T::pass(request)
}

/// The second parameter of middleware, under whatever name its author knows the type.
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

/// The rest of the way as the author's function takes it.
pub fn pass_next<T: PassNext>(next: Next) -> T {
    T::pass(next)
}

type MiddlewareFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// One registered middleware. A chain of unknown length needs boxes; a service without middleware
/// never comes here.
#[derive(Clone)]
pub struct Middleware {
    run: Arc<dyn Fn(Request, Next) -> MiddlewareFuture + Send + Sync>,
    pub(crate) order: i32,
    pub(crate) all: bool,
}

impl Middleware {
    /// Registers a function. The lowest `order` is outermost; `all` wraps every route.
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
        }
    }
}

/// The middleware around the routes, outermost first.
#[derive(Clone, Default)]
pub(crate) struct Chains {
    pub(crate) invocations: Arc<[Middleware]>,
    pub(crate) others: Arc<[Middleware]>,
}

impl Chains {
    /// Sorts by order; what is equal stays in the order given.
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

/// The rest of the way: the middleware further in, and then the endpoint.
pub struct Next {
    exchange: Exchange,
    chain: Arc<[Middleware]>,
    position: usize,
}

impl Next {
    pub(crate) fn new(exchange: Exchange, chain: Arc<[Middleware]>) -> Self {
        Self {
            exchange,
            chain,
            position: 0,
        }
    }

    /// Goes on with the request and returns the response.
    ///
    /// Errors on the way in are responses already (a 422, a 500), so middleware sees the status and
    /// the body that the caller will see.
    pub async fn run(self, request: Request) -> Response {
        let exchange = self.exchange.clone();
        let result = self.step(request).await;
        result.unwrap_or_else(|error| exchange.reject(&error))
    }

    async fn step(mut self, request: Request) -> Result<Response, Error> {
        match self.chain.get(self.position) {
            Some(middleware) => {
                let run = Arc::clone(&middleware.run);
                self.position += 1;
                let result = run(request, self).await;
                if let Err(error) = &result {
                    note(error);
                }
                result
            }
            None => answer_endpoint(&self.exchange, request).await,
        }
    }
}

/// Logs what middleware failed with; what the endpoint fails with is in its record.
fn note(error: &Error) {
    let (status, error_type) = (error.status(), error.error_type());
    let (error, status) = (Chain(error), status.as_u16());
    if status >= 500 {
        tracing::error!(%error, error_type, status, "middleware failed");
    } else {
        // What callers get wrong must not be able to fill the log.
        tracing::debug!(%error, error_type, status, "middleware refused");
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("left", &(self.chain.len() - self.position))
            .finish_non_exhaustive()
    }
}
