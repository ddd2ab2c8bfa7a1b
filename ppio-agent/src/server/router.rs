//! From a request to its route, and from any outcome to a finished response.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Body as HttpBody;
use tracing::{Instrument as _, Span};

use crate::app::logging;
use crate::endpoints::index;
use crate::endpoints::ping;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::context::{AgentRuntimeContext, Parts, RequestContext};
use crate::exchange::error::{BoxError, Error};
use crate::exchange::header_names::X_REQUEST_ID;
use crate::exchange::json::{self, Style};
use crate::exchange::rejection::Failure;
use crate::exchange::request_headers::Head;
use crate::exchange::request_id::RequestId;
use crate::exchange::scoped_body::ScopedBody;
use crate::invocation::executor::panicked;
use crate::invocation::invoke;
use crate::server::agent::{Agent, SharedAgent};
use crate::server::cors::{Caller, Cors};
use crate::server::ingress::{self, Ingress};
use crate::server::middleware::{Middleware, Next};

/// One request and its response.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) agent: SharedAgent,
    pub(crate) request_id: RequestId,
    pub(crate) span: Span,
    pub(crate) started: Instant,
    pub(crate) deadline: Instant,
    pub(crate) style: Style,
    route: Route,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Invocations,
    Ping,
    Index,
    Metrics,
    Unknown,
}

impl Route {
    fn of(path: &str, metrics: bool) -> Self {
        match path {
            "/invocations" => Self::Invocations,
            "/ping" => Self::Ping,
            "/" => Self::Index,
            "/metrics" if metrics => Self::Metrics,
            _ => Self::Unknown,
        }
    }

    /// The methods that the route has, as an `Allow` header.
    fn allow(self) -> &'static str {
        match self {
            Self::Invocations => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    fn has(self, method: &Method) -> bool {
        match self {
            Self::Invocations => method == Method::POST,
            Self::Ping | Self::Index | Self::Metrics => {
                method == Method::GET || method == Method::HEAD
            }
            // The path is what is wrong then.
            Self::Unknown => true,
        }
    }
}

/// Answers any request. Never fails: what goes wrong is a response.
pub(crate) async fn respond(
    agent: SharedAgent,
    mut request: Request,
    ingress: Ingress,
) -> Response {
    let head = Head::of(request.headers());
    let settings = &agent.settings;
    let caller = settings
        .cors
        .caller(head.origin, ingress::authority(&request, &head));
    let checked = ingress.check(&request, &head, &settings.allowed_hosts);
    let asks_first = head.asks_first;
    let exchange = Exchange::begin(agent, &request, head.request_id, head.style);
    // No binding outlives this statement: the future of the usual request does not grow.
    if let Err(failure) = checked.and_then(|()| exchange.admit(&caller, &request)) {
        tracing::debug!(error = %failure, status = failure.status().as_u16(), "request refused");
        return exchange.finish(&caller, exchange.reject(&failure.into()));
    }
    if asks_first {
        request.body_mut().wait_to_be_asked();
    }
    let response = if exchange.is_plain_invocation(&request) {
        let result = invoke(&exchange, request).await;
        result.unwrap_or_else(|error| exchange.reject(&error))
    } else if request.method() == Method::OPTIONS && exchange.route != Route::Unknown {
        exchange.options(request.headers(), &caller)
    } else {
        // Boxed to keep the future of the usual request small; see `invoke`.
        let result = Box::pin(exchange.dispatch(request)).await;
        result.unwrap_or_else(|error| exchange.reject(&error))
    };
    exchange.finish(&caller, response)
}

impl Exchange {
    fn begin(agent: SharedAgent, request: &Request, request_id: RequestId, style: Style) -> Self {
        let route = Route::of(request.uri().path(), agent.settings.enable_metrics);
        let span = if route == Route::Invocations {
            logging::invocation_span(&request_id, request.headers())
        } else {
            Span::none()
        };
        let started = Instant::now();
        Self {
            deadline: started + agent.settings.timeout,
            style,
            agent,
            request_id,
            span,
            started,
            route,
        }
    }

    /// Refuses what a page that may not call the agent can cause something with.
    fn admit(&self, caller: &Caller, request: &Request) -> Result<(), Failure> {
        if !matches!(caller, Caller::ForeignPage)
            || !self.agent.settings.cors.refuses_foreign_pages()
            || self.is_harmless(request.method())
        {
            return Ok(());
        }
        let origin = request.headers().get(ORIGIN);
        Err(Failure::OriginNotAllowed {
            origin: origin.map_or_else(String::new, |origin| ingress::excerpt(origin.as_bytes())),
        })
    }

    /// Whether a request is answered without a side effect: the runtime's own answers to reads and
    /// preflights. Middleware may do anything.
    fn is_harmless(&self, method: &Method) -> bool {
        match *method {
            Method::GET | Method::HEAD => self.chain().is_empty(),
            Method::OPTIONS => self.route != Route::Unknown,
            _ => false,
        }
    }

    /// The middleware around the route.
    fn chain(&self) -> &Arc<[Middleware]> {
        match self.route {
            Route::Invocations => &self.agent.chains.invocations,
            _ => &self.agent.chains.others,
        }
    }

    /// Puts the headers on a response that every response has.
    fn finish(&self, caller: &Caller, mut response: Response) -> Response {
        let headers = response.headers_mut();
        // Answers to a POST are not kept by caches unless they say so.
        let is_cacheable = self.route != Route::Invocations;
        let cors = &self.agent.settings.cors;
        cors.apply(caller, is_cacheable, headers);
        headers.insert(X_REQUEST_ID, self.request_id.header_value());
        response
    }

    /// Whether this goes straight to the entrypoint.
    fn is_plain_invocation(&self, request: &Request) -> bool {
        self.route == Route::Invocations
            && self.route.has(request.method())
            && self.agent.chains.invocations.is_empty()
    }

    /// Says which methods there are and, to a browser's preflight, who may use them.
    fn options(&self, asked: &HeaderMap, caller: &Caller) -> Response {
        let allow = self.route.allow();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allow));
        if Cors::is_preflight(&Method::OPTIONS, asked) {
            Cors::apply_preflight(caller, asked, allow, headers);
        }
        response
    }

    /// Through the middleware, where there is any, to the endpoint.
    async fn dispatch(&self, request: Request) -> Result<Response, Error> {
        let chain = self.chain();
        if chain.is_empty() {
            return answer_endpoint(self, request).await;
        }
        // Middleware owns the request, so the context that it sees has headers of its own. The
        // handler's context is made later, from the request that middleware passes on.
        let context = RequestContext::from(Parts {
            request_id: self.request_id.clone(),
            headers: request.headers().clone(),
            extensions: http::Extensions::new(),
            deadline: self.deadline,
            agent: self.agent.clone(),
        });
        let next = Next::new(self.clone(), Arc::clone(chain));
        let run = AgentRuntimeContext::scope(context.clone(), next.run(request));
        let run = self.caught(&context, run.instrument(self.span.clone()));
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let response = tokio::time::timeout_at(deadline, run).await.map_err(|_| {
            let failure = Failure::TimedOut(self.agent.settings.timeout);
            logging::about(&context, &self.span, || {
                tracing::error!(error = %failure, "middleware failed");
            });
            failure
        })??;
        Ok(response.map(|body| self.scoped(body, context)))
    }

    /// The body, in the context of its request where it needs one.
    pub(crate) fn scoped(&self, body: Body, context: RequestContext) -> Body {
        if body.runs_on() {
            Body::new(ScopedBody::new(body, context, self.span.clone()))
        } else {
            body
        }
    }

    /// Makes a panic in middleware an error.
    async fn caught<F>(&self, context: &RequestContext, future: F) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // The future is dropped after a panic, so nothing sees a broken state.
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => {
                    let error = panicked(panic.as_ref());
                    logging::about(context, &self.span, || {
                        tracing::error!(%error, "middleware failed");
                    });
                    Poll::Ready(Err(error))
                }
            }
        })
        .await
    }

    /// Writes an error as a response. Nothing else in the crate does.
    pub(crate) fn reject(&self, error: &Error) -> Response {
        let body = json::error_body(error, self.started.elapsed(), self.request_id.as_str());
        let mut response = json::response(error.status(), body);
        let headers = response.headers_mut();
        if let Some(allow) = error.failure().and_then(Failure::allow) {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = error.failure().and_then(Failure::retry_after) {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if error.failure().is_some_and(Failure::closes_connection) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The session is known once the body is there; from here on log lines carry it.
    pub(crate) fn note_session(&self, context: &RequestContext) {
        if !self.span.is_disabled()
            && let Some(id) = context.session_id()
        {
            self.span.record("session_id", id);
        }
    }
}

/// Answers a request at its endpoint.
pub(crate) async fn answer_endpoint(
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    let agent = &exchange.agent;
    if !exchange.route.has(request.method()) {
        return Err(Failure::MethodNotAllowed {
            method: request.method().to_string(),
            allow: exchange.route.allow(),
        }
        .into());
    }
    match exchange.route {
        Route::Invocations => invoke(exchange, request).await,
        Route::Ping => {
            let busy = agent.tasks.running() > 0;
            Ok(ping::answer(agent.ping.as_ref(), busy, &agent.last_change).await)
        }
        Route::Index => Ok(index::answer(agent, request.headers())),
        Route::Metrics => Ok(metrics(agent)),
        Route::Unknown => Err(Failure::NoRoute {
            path: request.uri().path().chars().take(200).collect(),
        }
        .into()),
    }
}

fn metrics(agent: &Agent) -> Response {
    let page = agent.metrics.render(agent.tasks.running());
    let mut response = Response::new(Body::from(page));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

/// The agent as a service for hyper, tower, axum and everything that mounts one.
///
/// The server that mounts it chooses the address and decides which hosts it answers for. Pages of
/// other origins are treated as [`RuntimeConfig::cors_origins`](crate::RuntimeConfig::cors_origins)
/// says.
///
/// ```
/// # fn main() -> Result<(), ppio::StartError> {
/// use ppio::{AgentRuntimeApp, Value};
///
/// let app = AgentRuntimeApp::builder()
///     .entrypoint(|request: Value| async move { request })
///     .build()?;
/// let service = app.into_service();
/// # let _ = service; Ok(()) }
/// ```
#[derive(Clone)]
pub struct AgentService {
    agent: SharedAgent,
}

impl AgentService {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent: SharedAgent::new(agent),
        }
    }

    /// Answers one request.
    pub async fn respond<B>(&self, request: http::Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let settings = &self.agent.settings;
        let (limit, deadline) = (settings.max_request_size, settings.body_timeout);
        let request = request.map(|body| Body::limited(body, limit, deadline));
        respond(self.agent.clone(), request, Ingress::Service).await
    }
}

impl std::fmt::Debug for AgentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentService").finish_non_exhaustive()
    }
}

type Responding = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<B> tower_service::Service<http::Request<B>> for AgentService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Responding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Responding {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}

impl<B> hyper::service::Service<http::Request<B>> for AgentService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: http::Request<B>) -> Responding {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}
