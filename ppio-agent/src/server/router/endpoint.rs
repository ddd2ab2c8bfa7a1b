//! Calls the endpoint of a route: the runtime's own, that of a protocol, or the author's.

use http::header::ACCESS_CONTROL_REQUEST_METHOD;
use http::{Method, StatusCode};

use super::route::Route;
use crate::endpoints::debug_actions::{self, DebugRequest};
#[cfg(feature = "metrics")]
use crate::endpoints::metrics;
use crate::endpoints::runs as run_endpoints;
use crate::exchange::Exchange;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
#[cfg(all(feature = "ag-ui", feature = "websocket"))]
use crate::protocols;
use crate::runs;
use crate::server::agent::ConnectionAgent;
use crate::server::cors::Cors;

/// Calls the endpoint of a route.
pub(super) async fn call(
    agent: &ConnectionAgent,
    exchange: &Exchange,
    route: Route,
    request: Request,
) -> Result<Response, Error> {
    if !route.has(request.method()) {
        return Err(Rejection::MethodNotAllowed {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            allow: route.allow(),
        }
        .into());
    }
    match route {
        Route::Invocations if request.method() == Method::POST => {
            let request = if agent.invoker().settings().debug {
                let (tasks, busy) = (agent.invoker().tasks(), agent.is_busy());
                match debug_actions::find(request, &agent.ping, busy, tasks).await? {
                    DebugRequest::Answer(response) => return Ok(response),
                    DebugRequest::Invocation(request) => request,
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
            // The headers of this call state whether the agent supports idempotency keys, so that a
            // caller has this information before its first invocation.
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
                connections: agent.connections.get().map(AsRef::as_ref),
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

/// Answers a request for a path that is not the agent's: a path of the author's routes, or a path
/// that middleware has passed on without an answer.
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

/// Answers a preflight in place of the author's routes, which seldom answer preflights. Returns
/// `None` for any other request. Only preflights of allowed origins reach this function; see
/// `RoutedRequest::check_origin`.
fn preflight(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let method = headers.get(ACCESS_CONTROL_REQUEST_METHOD);
    let method = method.filter(|_| Cors::is_preflight(request.method(), headers))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Cors::permit(headers, method.clone(), response.headers_mut());
    Some(response)
}
