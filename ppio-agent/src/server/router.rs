//! Routes a request to its endpoint, and makes every outcome a response.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(feature = "chat")]
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tracing::{Instrument as _, Span};

use super::agent::{Agent, ConnectionAgent};
use super::answering::Answering;
use super::cors::{Caller, Cors};
use super::ingress::{self, Ingress};
use super::middleware::{Endpoint, Middleware, Next};
use crate::endpoints::debug_actions::{self, Found};
#[cfg(feature = "metrics")]
use crate::endpoints::metrics;
use crate::endpoints::runs::{self as run_endpoints, RunRoute};
use crate::exchange::Exchange;
use crate::exchange::agent_core_headers::remove_reserved;
use crate::exchange::body::{Body, BodyEnd, Request, Response};
use crate::exchange::catch_panic::catch_panic;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::{Error, ErrorChain};
#[cfg(feature = "chat")]
use crate::exchange::failure::Failure;
use crate::exchange::header_names::X_REQUEST_ID;
use crate::exchange::log_ids::{invocation_span, log_about, route_span};
use crate::exchange::protocol::Protocol;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_headers::{InvalidHeader, RequestHeaders};
use crate::exchange::request_id::{AnswerId, RequestId};
use crate::exchange::requested_format::RequestedFormat;
use crate::exchange::scoped_body::scoped;
use crate::invocation::AdmittedInvocation;
#[cfg(all(feature = "ag-ui", feature = "websocket"))]
use crate::protocols;
#[cfg(feature = "chat")]
use crate::protocols::ProtocolRoute;
use crate::runs;
use crate::telemetry::{RequestHead, RequestKind, RequestTrace};

/// Answers any request. Errors are responses as well.
///
/// hyper copies the future that this returns. So the head is read here and not in the future, which
/// has nothing of the request but what is used later.
pub(crate) fn respond(
    agent: ConnectionAgent,
    mut request: Request,
    ingress: Ingress,
) -> Answering<impl Future<Output = Response> + Send> {
    let headers = RequestHeaders::of(request.headers());
    let settings = &agent.settings;
    let caller = settings
        .cors
        .caller(headers.origin, ingress::authority(&request, &headers));
    let checked = ingress.check(&request, &headers, &settings.allowed_hosts);
    let invalid = headers.invalid;
    let (has_run_options, is_plain_json) = (headers.has_run_options, headers.is_plain_json);
    let is_agent_core = headers.is_agent_core;
    let routed = RoutedRequest::new(
        agent,
        &request,
        headers.request_id,
        headers.format,
        headers.timeout,
    );
    if let Err(rejection) = checked
        .and_then(|()| routed.check_origin(&caller, &request))
        .and_then(|()| routed.check_headers(invalid.as_ref()))
    {
        let status = rejection.status().as_u16();
        tracing::debug!(error = %rejection, status, "request refused");
        return routed.refuse(&caller, rejection.into());
    }
    if is_agent_core {
        remove_reserved(request.headers_mut());
    }
    if has_run_options || !routed.is_invocation_alone(&request) {
        return Answering::boxed(routed.answer(caller, request));
    }
    let (invoker, exchange) = (routed.agent.invoker(), &routed.exchange);
    match AdmittedInvocation::new(invoker, exchange, request, is_plain_json) {
        Ok(admitted) => Answering::InPlace {
            answer: routed.invoke(caller, admitted),
        },
        Err(error) => routed.refuse(&caller, error),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Invocations,
    Run(RunRoute),
    Ping,
    Index,
    #[cfg(feature = "schema")]
    OpenApi,
    #[cfg(feature = "websocket")]
    WebSocket,
    #[cfg(feature = "metrics")]
    Metrics,
    #[cfg(feature = "chat")]
    Protocol(ProtocolRoute),
    Unknown,
}

impl Route {
    fn of(path: &str, agent: &Agent) -> Self {
        match path {
            "/invocations" => Self::of_platform(path, agent).unwrap_or(Self::Invocations),
            "/ping" => Self::Ping,
            "/" => Self::of_platform(path, agent).unwrap_or(Self::Index),
            #[cfg(feature = "metrics")]
            "/metrics" if agent.settings.enable_metrics => Self::Metrics,
            #[cfg(feature = "schema")]
            "/openapi.json" if agent.openapi.is_some() => Self::OpenApi,
            path => match RunRoute::of(path) {
                Some((route, _)) => Self::Run(route),
                None => Self::of_protocol(path, agent),
            },
        }
    }

    /// The route of a path of the agent's own, if the platform calls a protocol there.
    #[cfg(feature = "chat")]
    fn of_platform(path: &str, agent: &Agent) -> Option<Self> {
        agent.protocols.route_of_platform(path).map(Self::Protocol)
    }

    #[cfg(not(feature = "chat"))]
    fn of_platform(_: &str, _: &Agent) -> Option<Self> {
        None
    }

    #[cfg(feature = "chat")]
    fn of_protocol(path: &str, agent: &Agent) -> Self {
        let route = agent.protocols.route(path);
        route.map_or(Self::Unknown, Self::Protocol)
    }

    #[cfg(not(feature = "chat"))]
    fn of_protocol(_: &str, _: &Agent) -> Self {
        Self::Unknown
    }

    /// The protocol of the route, where it is not that of `POST /invocations`.
    fn protocol(self) -> Option<Protocol> {
        match self {
            #[cfg(feature = "websocket")]
            Self::WebSocket => Some(Protocol::WebSocket),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => Some(route.protocol),
            _ => None,
        }
    }

    /// How the protocol of the route writes errors.
    #[cfg(feature = "chat")]
    fn error_body(self) -> Option<fn(&Failure) -> Bytes> {
        match self {
            Self::Protocol(route) => Some(route.error_body()),
            _ => None,
        }
    }

    /// The methods of the route, as an `Allow` header.
    fn allow(self) -> &'static str {
        match self {
            Self::Invocations => "GET, HEAD, POST, OPTIONS",
            Self::Run(route) => route.allow(),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => route.allow(),
            #[cfg(feature = "websocket")]
            Self::WebSocket => "GET, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }

    /// Whether the route calls the author's function.
    fn is_invocation(self) -> bool {
        match self {
            Self::Invocations => true,
            #[cfg(feature = "websocket")]
            Self::WebSocket => true,
            _ => false,
        }
    }

    /// What a request of the route is; `None` if the runtime itself answers it.
    fn request_kind(self, method: &Method, agent: &Agent) -> Option<RequestKind> {
        match self {
            Self::Invocations if method == Method::POST => Some(RequestKind::Invocation),
            #[cfg(feature = "chat")]
            Self::Protocol(route) if method == Method::POST => {
                Some(RequestKind::Protocol(route.name()))
            }
            #[cfg(feature = "websocket")]
            Self::WebSocket => Some(RequestKind::WebSocket),
            Self::Unknown if agent.mounted.is_some() => Some(RequestKind::Route),
            _ => None,
        }
    }

    fn has(self, method: &Method) -> bool {
        match self {
            Self::Run(route) => route.has(method),
            #[cfg(feature = "chat")]
            Self::Protocol(route) => route.has(method),
            // Its path is rejected instead.
            Self::Unknown => true,
            Self::Invocations if method == Method::POST => true,
            #[cfg(feature = "websocket")]
            Self::WebSocket => method == Method::GET,
            _ => method == Method::GET || method == Method::HEAD,
        }
    }
}

/// A request whose route is known.
struct RoutedRequest {
    agent: ConnectionAgent,
    exchange: Exchange,
    route: Route,
}

impl RoutedRequest {
    fn new(
        agent: ConnectionAgent,
        request: &Request,
        request_id: RequestId,
        format: RequestedFormat,
        timeout: Option<u32>,
    ) -> Self {
        let route = Route::of(request.uri().path(), &agent);
        #[cfg(feature = "websocket")]
        let route = match route {
            Route::Unknown if agent.takes_websocket(request) => Route::WebSocket,
            route => route,
        };
        let kind = route.request_kind(request.method(), &agent);
        let span = match kind {
            Some(RequestKind::Route) => route_span(&request_id, request),
            Some(_) => invocation_span(&request_id, request.headers()),
            None => Span::none(),
        };
        let trace = match kind {
            Some(kind) => RequestTrace::start(&RequestHead {
                kind,
                method: request.method(),
                path: request.uri().path(),
                headers: request.headers(),
            }),
            None => RequestTrace::default(),
        };
        let started = Instant::now();
        let deadline = started + agent.invoker.settings().timeout;
        let requested_deadline =
            timeout.map(|seconds| started + Duration::from_secs(seconds.into()));
        let exchange = Exchange {
            request_id,
            span,
            trace,
            started,
            deadline: requested_deadline.map_or(deadline, |requested| requested.min(deadline)),
            requested_deadline,
            format,
            protocol: route.protocol(),
            #[cfg(feature = "chat")]
            error_body: route.error_body(),
        };
        Self {
            agent,
            exchange,
            route,
        }
    }

    /// Rejects a request with side effects from a page that may not call the agent.
    fn check_origin(&self, caller: &Caller, request: &Request) -> Result<(), Rejection> {
        if !matches!(caller, Caller::ForeignPage) || self.has_no_side_effect(request.method()) {
            return Ok(());
        }
        let origin = request.headers().get(ORIGIN);
        Err(Rejection::OriginNotAllowed {
            origin: origin.map_or_else(String::new, |origin| ingress::excerpt(origin.as_bytes())),
        })
    }

    /// Rejects an invocation with a header that cannot be understood.
    fn check_headers(&self, invalid: Option<&InvalidHeader<'_>>) -> Result<(), Rejection> {
        match invalid {
            Some(invalid) if self.route.is_invocation() => Err(invalid.rejection()),
            _ => Ok(()),
        }
    }

    /// Whether the runtime itself answers the request: reads and preflights. Middleware and the
    /// author's routes may do anything.
    fn has_no_side_effect(&self, method: &Method) -> bool {
        match *method {
            // A page may open a WebSocket to any host, and the function may do anything.
            #[cfg(feature = "websocket")]
            Method::GET if self.route == Route::WebSocket => false,
            Method::GET | Method::HEAD => {
                let is_mounted = self.route == Route::Unknown && self.agent.mounted.is_some();
                self.chain().is_empty() && !is_mounted
            }
            Method::OPTIONS => self.route != Route::Unknown,
            _ => false,
        }
    }

    /// The middleware around the route.
    fn chain(&self) -> &Arc<[Middleware]> {
        match self.route {
            Route::Invocations | Route::Run(_) => &self.agent.chains.invocations,
            #[cfg(feature = "chat")]
            Route::Protocol(_) => &self.agent.chains.invocations,
            #[cfg(feature = "websocket")]
            Route::WebSocket => &self.agent.chains.invocations,
            _ => &self.agent.chains.others,
        }
    }

    /// Runs the invocation of a request without middleware.
    #[expect(
        clippy::manual_async_fn,
        reason = "its future would have each argument twice"
    )]
    fn invoke(
        self,
        caller: Caller,
        mut admitted: AdmittedInvocation,
    ) -> impl Future<Output = Response> + Send {
        async move {
            let (invoker, exchange) = (self.agent.invoker(), &self.exchange);
            let begun = admitted.run(invoker, exchange).await;
            let result = admitted.respond(invoker, exchange, begun);
            self.respond(&caller, result)
        }
    }

    /// Answers any other request.
    async fn answer(self, caller: Caller, request: Request) -> Response {
        let result = if request.method() == Method::OPTIONS && self.route != Route::Unknown {
            Ok(self.options(request.headers(), &caller))
        } else {
            self.run_middleware(request).await
        };
        self.respond(&caller, result)
    }

    /// Answers a request with an error that is known before anything runs.
    fn refuse<F>(&self, caller: &Caller, error: Error) -> Answering<F> {
        Answering::boxed(ready(self.respond(caller, Err(error))))
    }

    fn respond(&self, caller: &Caller, result: Result<Response, Error>) -> Response {
        let response = result.unwrap_or_else(|error| self.exchange.error_response(error));
        self.finish(caller, response)
    }

    /// Adds the headers that every response has.
    fn finish(&self, caller: &Caller, mut response: Response) -> Response {
        self.count_rejection(&response);
        let answer_id = response.extensions_mut().remove::<AnswerId>();
        self.exchange.announce_again(&mut response);
        let headers = response.headers_mut();
        // Caches do not keep responses to POST.
        let is_cacheable = self.route != Route::Invocations;
        let cors = &self.agent.settings.cors;
        if answer_id.is_some() {
            Cors::expose_run(caller, headers);
        }
        cors.apply(caller, is_cacheable, headers);
        let id = answer_id
            .as_ref()
            .map_or(&self.exchange.request_id, |id| &id.0);
        headers.insert(X_REQUEST_ID, id.header_value());
        self.end_trace(response)
    }

    /// Ends the span of a request that no invocation ends.
    fn end_trace(&self, response: Response) -> Response {
        let (trace, status) = (&self.exchange.trace, response.status());
        if !trace.ends_with_body() {
            trace.end_response(status, None);
            return response;
        }
        let trace = trace.clone();
        response.map(|body| {
            body.on_end(move |end| {
                let error = match end {
                    BodyEnd::Complete => None,
                    BodyEnd::Failed => Some("failed"),
                    BodyEnd::Dropped => Some("cancelled"),
                };
                trace.end_response(status, error);
            })
        })
    }

    /// Counts the request if the runtime refuses it.
    fn count_rejection(&self, response: &Response) {
        let error = response.extensions().get::<Error>();
        if let Some(rejection) = error.and_then(Error::rejection)
            && !rejection.follows_call()
        {
            let counters = self.agent.invoker().counters();
            counters.count_rejected(rejection.error_type());
        }
    }

    /// Whether this is an invocation that goes to the entrypoint directly, unless its headers request
    /// a run.
    fn is_invocation_alone(&self, request: &Request) -> bool {
        self.route == Route::Invocations
            && request.method() == Method::POST
            && self.agent.has_direct_invocations
    }

    /// Answers with the methods of the route, and to a preflight with the CORS policy.
    fn options(&self, request: &HeaderMap, caller: &Caller) -> Response {
        let allow = HeaderValue::from_static(self.route.allow());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ALLOW, allow.clone());
        if Cors::is_preflight(&Method::OPTIONS, request) {
            Cors::apply_preflight(caller, request, allow, headers);
        }
        response
    }

    /// Runs the middleware of the route, if there is any, and the endpoint.
    async fn run_middleware(&self, request: Request) -> Result<Response, Error> {
        let chain = self.chain();
        if chain.is_empty() {
            return run_endpoint(&self.agent, &self.exchange, self.route, request).await;
        }
        // Middleware owns the request, so its context has a copy of the headers. The context of the
        // handler is made later, from the request that middleware passes on.
        let (headers, extensions) = (request.headers().clone(), http::Extensions::new());
        let invoker = self.agent.invoker();
        let context = invoker.context(&self.exchange, headers, extensions);
        let next = Next::new(self.exchange.clone(), Arc::clone(chain), self.endpoint());
        let run = AgentRuntimeContext::scope(context.clone(), next.run(request));
        let run = self.catch_panic(&context, run.instrument(self.exchange.span.clone()));
        let deadline = tokio::time::Instant::from_std(self.exchange.deadline);
        let response = tokio::time::timeout_at(deadline, run).await.map_err(|_| {
            let Exchange {
                started, deadline, ..
            } = self.exchange;
            let rejection = Rejection::TimedOut(deadline - started);
            log_about(&context, &self.exchange.span, || {
                tracing::error!(error = %rejection, "middleware failed");
            });
            rejection
        })??;
        Ok(response.map(|body| scoped(body, context, &self.exchange.span)))
    }

    fn endpoint(&self) -> Endpoint {
        let (agent, exchange, route) = (self.agent.clone(), self.exchange.clone(), self.route);
        Box::new(move |request| {
            Box::pin(async move { run_endpoint(&agent, &exchange, route, request).await })
        })
    }

    /// Makes a panic in middleware an error.
    async fn catch_panic<F>(&self, context: &RequestContext, future: F) -> Result<Response, Error>
    where
        F: Future<Output = Response>,
    {
        catch_panic(future).await.inspect_err(|error| {
            log_about(context, &self.exchange.span, || {
                tracing::error!(error = %ErrorChain(error), "middleware failed");
            });
        })
    }
}

async fn run_endpoint(
    agent: &ConnectionAgent,
    exchange: &Exchange,
    route: Route,
    request: Request,
) -> Result<Response, Error> {
    if !route.has(request.method()) {
        return Err(Rejection::MethodNotAllowed {
            method: request.method().to_string(),
            allow: route.allow(),
        }
        .into());
    }
    match route {
        Route::Invocations if request.method() == Method::POST => {
            let request = if agent.invoker().settings().debug {
                let (tasks, busy) = (agent.invoker().tasks(), agent.is_busy());
                match debug_actions::find(request, &agent.ping, busy, tasks).await? {
                    Found::Answer(response) => return Ok(response),
                    Found::Invocation(request) => request,
                }
            } else {
                request
            };
            runs::invoke(&agent.runs, agent.invoker(), exchange, request).await
        }
        Route::Invocations => run_endpoints::list(&agent.runs, &request),
        Route::Run(_) => {
            run_endpoints::answer(&agent.runs, agent.invoker(), exchange, request).await
        }
        Route::Ping => {
            let forced = agent.invoker().tasks().forced_status();
            let mut response = agent.ping.answer(agent.is_busy(), forced).await;
            // Callers learn here, before their first invocation, whether they can send it again.
            runs::announce_keys("supported", &agent.runs, &mut response);
            Ok(response)
        }
        #[cfg(all(feature = "ag-ui", feature = "websocket"))]
        Route::WebSocket if agent.websocket.serves_protocol() => {
            let (shared, socket_exchange) = (agent.clone(), exchange.clone());
            let handler = async move |socket, parts, shutdown| {
                let agent = shared.protocol_agent();
                protocols::serve_socket(&agent, &socket_exchange, parts, socket, shutdown).await
            };
            let (endpoint, invoker) = (&agent.websocket, agent.invoker());
            endpoint.answer_with(invoker, exchange, request, handler)
        }
        #[cfg(feature = "websocket")]
        Route::WebSocket => agent.websocket.answer(agent.invoker(), exchange, request),
        Route::Index => Ok(agent.index.answer(request.headers(), &agent.functions)),
        #[cfg(feature = "schema")]
        Route::OpenApi => match &agent.openapi {
            Some(openapi) => Ok(openapi.answer()),
            None => Err(Rejection::no_route(request.uri().path()).into()),
        },
        #[cfg(feature = "metrics")]
        Route::Metrics => {
            let mounted = agent.mounted.as_ref();
            let measured = metrics::Measured {
                invoker: agent.invoker(),
                runs: &agent.runs,
                functions: &agent.functions,
                connections: agent.connections.get(),
                has_websocket: agent.has_websocket(),
                routes: mounted.map(|routes| &routes.admission().counters),
            };
            Ok(metrics::answer(&measured, request.headers()))
        }
        #[cfg(feature = "chat")]
        Route::Protocol(route) => {
            route
                .answer(&agent.protocol_agent(), exchange, request)
                .await
        }
        Route::Unknown => author_route(agent, exchange, request).await,
    }
}

/// Answers a request for a path that is not the agent's: one of the author's routes, or one of
/// middleware, which passed it on.
async fn author_route(
    agent: &ConnectionAgent,
    exchange: &Exchange,
    request: Request,
) -> Result<Response, Error> {
    if agent.mounted.is_none() && agent.chains.others.is_empty() {
        return Err(Rejection::no_route(request.uri().path()).into());
    }
    if let Some(response) = preflight(&request) {
        return Ok(response);
    }
    match &agent.mounted {
        Some(routes) => routes.answer(agent.invoker(), exchange, request).await,
        None => Err(Rejection::no_route(request.uri().path()).into()),
    }
}

/// Answers a preflight for the author, who seldom does. Only those of allowed origins get here; see
/// [`RoutedRequest::check_origin`].
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD);
    let method = method.filter(|_| Cors::is_preflight(request.method(), headers))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Cors::permit(headers, method.clone(), response.headers_mut());
    Some(response)
}
