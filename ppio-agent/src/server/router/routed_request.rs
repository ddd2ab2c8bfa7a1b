//! A request whose route is known: its checks, its middleware, and the headers of its response.
//!
//! The functions for an invocation without middleware are `#[inline]`, so that the compiler can
//! inline them into the router's function, even if this file is in another codegen unit.

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{ALLOW, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tracing::{Instrument as _, Span};

use super::endpoint;
use super::route::Route;
use crate::exchange::Exchange;
use crate::exchange::body::{Body, BodyEnd, Request, Response};
use crate::exchange::catch_panic::catch_panic;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::{Error, ErrorChain};
use crate::exchange::header_names::X_REQUEST_ID;
use crate::exchange::log_ids::{invocation_span, log_about, route_span};
use crate::exchange::rejection::Rejection;
use crate::exchange::request_headers::InvalidHeader;
use crate::exchange::request_id::{AnswerId, RequestId};
use crate::exchange::requested_format::RequestedFormat;
use crate::exchange::scoped_body::scoped;
use crate::invocation::AdmittedInvocation;
use crate::server::agent::ConnectionAgent;
use crate::server::answering::Answering;
use crate::server::cors::{Caller, Cors};
use crate::server::ingress;
use crate::server::middleware::{Endpoint, Middleware, Next};
use crate::telemetry::{RequestHead, RequestKind, RequestTrace};

/// A request whose route is known.
pub(super) struct RoutedRequest {
    pub(super) agent: ConnectionAgent,
    pub(super) exchange: Exchange,
    route: Route,
    /// Whether this is an invocation that goes to the entrypoint directly and does not become a
    /// run.
    pub(super) is_direct: bool,
}

impl RoutedRequest {
    #[inline]
    pub(super) fn new(
        agent: ConnectionAgent,
        request: &Request,
        given_id: Option<RequestId>,
        has_run_options: bool,
        format: RequestedFormat,
        timeout: Option<u32>,
    ) -> Self {
        let route = Route::of(request.uri().path(), &agent);
        #[cfg(feature = "websocket")]
        let route = match route {
            Route::Unknown if agent.takes_websocket(request) => Route::WebSocket,
            route => route,
        };
        let is_direct = route == Route::Invocations
            && *request.method() == Method::POST
            && agent.has_direct_invocations
            && !has_run_options;
        let request_id = match given_id {
            Some(id) => id,
            None if is_direct => RequestId::predictable(),
            None => RequestId::random(),
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
            is_direct,
        }
    }

    /// Rejects a request with side effects from a page that may not call the agent.
    #[inline]
    pub(super) fn check_origin(&self, caller: &Caller, request: &Request) -> Result<(), Rejection> {
        if !matches!(caller, Caller::ForeignPage) || self.has_no_side_effect(request.method()) {
            return Ok(());
        }
        let origin = request.headers().get(ORIGIN);
        Err(Rejection::OriginNotAllowed {
            origin: origin.map_or_else(String::new, |origin| ingress::excerpt(origin.as_bytes())),
        })
    }

    /// Rejects an invocation with an invalid header.
    #[inline]
    pub(super) fn check_headers(
        &self,
        invalid: Option<&InvalidHeader<'_>>,
    ) -> Result<(), Rejection> {
        match invalid {
            Some(invalid) if self.route.is_invocation() => Err(invalid.rejection()),
            _ => Ok(()),
        }
    }

    /// Whether the request has no side effect: the runtime itself answers reads and preflights.
    /// Middleware and the author's routes may have side effects.
    fn has_no_side_effect(&self, method: &Method) -> bool {
        match *method {
            // A page may open a WebSocket to any host, and the function may have side effects.
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

    /// Returns the middleware around the route.
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
    pub(super) fn invoke(
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

    /// Answers a request that is not direct: an `OPTIONS` request of a known route immediately, any
    /// other request with the middleware and the endpoint of its route.
    pub(super) async fn answer(self, caller: Caller, request: Request) -> Response {
        let result = if request.method() == Method::OPTIONS && self.route != Route::Unknown {
            Ok(self.options(request.headers(), &caller))
        } else {
            self.run_middleware(request).await
        };
        self.respond(&caller, result)
    }

    /// Answers a request with an error that is known before user code runs.
    pub(super) fn refuse<F>(&self, caller: &Caller, error: Error) -> Answering<F> {
        Answering::boxed(ready(self.respond(caller, Err(error))))
    }

    #[inline]
    fn respond(&self, caller: &Caller, result: Result<Response, Error>) -> Response {
        let response = result.unwrap_or_else(|error| self.exchange.error_response(error));
        self.finish(caller, response)
    }

    /// Counts a rejection, adds the headers that every response has, and ends the span of the
    /// request.
    #[inline]
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

    /// Ends the span of a request, unless an invocation ends it.
    #[inline]
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
    #[inline]
    fn count_rejection(&self, response: &Response) {
        let error = response.extensions().get::<Error>();
        if let Some(rejection) = error.and_then(Error::rejection)
            && !rejection.follows_call()
        {
            let counters = self.agent.invoker().counters();
            counters.count_rejected(rejection.error_type());
        }
    }

    /// Answers an `OPTIONS` request with the methods of the route, and a preflight also with the
    /// headers of the CORS policy.
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
            return endpoint::call(&self.agent, &self.exchange, self.route, request).await;
        }
        // Middleware owns the request, so its context has a copy of the headers. The context of the
        // handler is created later, from the request that middleware passes on.
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
            Box::pin(async move { endpoint::call(&agent, &exchange, route, request).await })
        })
    }

    /// Converts a panic in middleware to an error.
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
