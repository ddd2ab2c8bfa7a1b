//! The author's own routes: a tower service for the paths that the agent itself does not serve.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http_body::Body as HttpBody;
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tower_service::Service;
use tracing::Instrument as _;

use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::catch_panic::catch_panic;
use crate::exchange::context::AgentRuntimeContext;
use crate::exchange::error::{BoxError, Error};
use crate::exchange::per_connection::PerConnection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::invocation::guard::{Admission, InvocationGuard};
use crate::invocation::{Invoker, user_response, wait};
use crate::lifecycle::State;
use crate::lifecycle::startup::{Startup, startup_on_blocking_thread};
use crate::lifecycle::states::{StateLookup, StateSlot};
use crate::stalls::Watch;

/// A type that a [`#[ppio::routes]`](macro@crate::routes) function may return, directly or in a
/// `Result`: a tower service such as axum's `Router`.
///
/// The service takes a [`Request`] and returns an `http::Response` with any body of bytes. The
/// runtime clones the service for each request, so a clone has to be cheap.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot serve routes",
    label = "not a tower service of HTTP requests",
    note = "help: return an `axum::Router` that has its state, or another `tower::Service<ppio::Request>` that is `Clone` and `Send`, returns an `http::Response`, and has a future that is `Send`"
)]
pub trait IntoRoutes {
    #[doc(hidden)]
    fn into_routes(self) -> MountedService;
}

#[diagnostic::do_not_recommend]
impl<S, B> IntoRoutes for S
where
    S: Service<Request, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn into_routes(self) -> MountedService {
        // Tower services are seldom `Sync`.
        let service = Mutex::new(self);
        MountedService(Box::new(move |request| {
            let service = service.lock().unwrap_or_else(PoisonError::into_inner);
            let mut service = service.clone();
            Box::pin(async move {
                poll_fn(|cx| service.poll_ready(cx))
                    .await
                    .map_err(Error::from_boxable)?;
                let response = service.call(request).await.map_err(Error::from_boxable)?;
                Ok(response.map(Body::new))
            })
        }))
    }
}

/// Converts the return value of an annotated function to a service.
pub fn into_routes<S: IntoRoutes>(service: S) -> MountedService {
    service.into_routes()
}

/// Creates a startup function from an annotated `async` function.
pub fn routes_on_worker<F, R>(function: F) -> Startup
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<MountedService, Error>> + Send + 'static,
{
    Startup::new(function)
}

/// Creates a startup function from an annotated plain function.
pub fn routes_on_blocking_thread<F>(function: F) -> Startup
where
    F: FnOnce() -> Result<MountedService, Error> + Send + 'static,
{
    startup_on_blocking_thread(function)
}

/// A closure or function that can be the routes function of the builder: it takes one to four
/// [`State`]s. `Marker` distinguishes the signatures; it is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not make routes",
    label = "not a routes function",
    note = "help: take one to four parameters of type `ppio::State<T>`, and return an `axum::Router` or another `ppio::IntoRoutes`"
)]
pub trait RoutesWithState<Marker>: Send + 'static {
    #[doc(hidden)]
    fn into_startup(self, states: &mut StateLookup<'_>) -> Startup;
}

macro_rules! routes_with_state {
    ($(($($state:ident $slot:ident),*))*) => {$(
        impl<F, S, $($state),*> RoutesWithState<($(State<$state>,)*)> for F
        where
            F: FnOnce($(State<$state>),*) -> S + Send + 'static,
            S: IntoRoutes,
            $($state: Send + Sync + 'static,)*
        {
            fn into_startup(self, states: &mut StateLookup<'_>) -> Startup {
                $(let $slot: StateSlot<$state> = states.slot();)*
                Startup::new(async move || Ok(self($($slot.state()),*).into_routes()))
            }
        }
    )*};
}

routes_with_state! {
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}

type ServiceFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// A boxed service of any type.
pub struct MountedService(Box<dyn Fn(Request) -> ServiceFuture + Send + Sync>);

impl fmt::Debug for MountedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountedService").finish_non_exhaustive()
    }
}

/// The author's own routes as an endpoint.
pub(crate) struct MountedRoutes {
    /// Empty until the routes function has run, if there is one.
    service: StateSlot<MountedService>,
    admission: PerConnection<Admission>,
}

impl MountedRoutes {
    pub(crate) fn new(
        service: StateSlot<MountedService>,
        settings: &RuntimeSettings,
        shutdown: watch::Receiver<()>,
        watch: Watch,
    ) -> Self {
        Self {
            service,
            admission: PerConnection::new(Admission::of_routes(settings, shutdown, watch)),
        }
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Answers a request with the service, within the same limits as an invocation.
    pub(crate) async fn answer(
        &self,
        invoker: &Invoker,
        exchange: &Exchange,
        mut request: Request,
    ) -> Result<Response, Error> {
        let (headers, extensions) = (request.headers().clone(), request.extensions().clone());
        let context = invoker.context(exchange, headers, extensions);
        let mut guard = InvocationGuard::begin(&self.admission, exchange, context.clone())?;
        request.extensions_mut().insert(context.clone());
        let body_error = Arc::new(OnceLock::new());
        let request = request.map(|body| record_error(body, &body_error));
        let service = self.service.state();
        // The service is called inside the future, so that a panic in the service's `clone` is
        // caught as well.
        let call = async move { (service.0.0)(request).await };
        let call = AgentRuntimeContext::scope(context, call.instrument(exchange.span.clone()));
        let (watch, request_id) = (guard.watch(), exchange.request_id.as_bytes());
        let call = Box::pin(watch.run(request_id, catch_panic(call)));
        let result = match wait(call, exchange, &mut guard).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) | Err(error) => Err(error),
        };
        let has_failed = |response: &Response| {
            let status = response.status();
            status.is_client_error() || status.is_server_error()
        };
        match (result, body_error.get()) {
            // A router may convert the error of the body to a response with another status.
            (Err(_), Some(error)) => Err(guard.failed(error.clone())),
            (Ok(response), Some(error)) if has_failed(&response) => {
                Err(guard.failed(error.clone()))
            }
            (Ok(response), _) => Ok(user_response(exchange, response, guard, None)),
            (Err(error), None) => Err(guard.failed(error)),
        }
    }
}

/// Returns a request body that stores its first error in `error`: usually that of a body that is
/// too large, too slow or cut short.
fn record_error(body: Body, error: &Arc<OnceLock<Error>>) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let error = Arc::clone(error);
    body.wrap(|body| body.map_err(move |found| error.get_or_init(|| found).clone()))
}
