//! The agent as a service that another server mounts.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as HttpBody;

use super::agent::{Agent, ConnectionAgent};
use super::ingress::Ingress;
use super::router::respond;
#[cfg(feature = "websocket")]
use crate::endpoints::websocket::PendingSession;
use crate::exchange::body::{Body, Response};
use crate::exchange::error::BoxError;
use crate::invocation::handler::Handler;

/// The agent as a service for hyper, tower, axum and every other server that mounts a service.
///
/// The server that mounts the service chooses the address and checks the `Host` header. Pages of
/// other origins are handled according to
/// [`RuntimeConfig::cors_origins`](crate::RuntimeConfig::cors_origins).
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
    agent: ConnectionAgent,
}

impl AgentService {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent: ConnectionAgent::new(agent),
        }
    }

    /// Returns the same service with its handler replaced by the result of `map`.
    pub(crate) fn map_handler(self, map: impl FnOnce(Handler) -> Handler) -> Self {
        Self {
            agent: self.agent.map_handler(map),
        }
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
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
        let response = respond(self.agent.clone(), request, Ingress::Service).await;
        // The session ends with its connection, which the server that mounts the agent owns.
        #[cfg(feature = "websocket")]
        if let Some(session) = response.extensions().get::<PendingSession>()
            && let Some(session) = session.take()
        {
            let agent = self.agent.clone();
            tokio::spawn(async move {
                session.await;
                drop(agent);
            });
        }
        response
    }
}

impl fmt::Debug for AgentService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentService").finish_non_exhaustive()
    }
}

type ServiceFuture = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl<B> tower_service::Service<http::Request<B>> for AgentService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ServiceFuture {
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
    type Future = ServiceFuture;

    fn call(&self, request: http::Request<B>) -> ServiceFuture {
        let service = self.clone();
        Box::pin(async move { Ok(service.respond(request).await) })
    }
}
