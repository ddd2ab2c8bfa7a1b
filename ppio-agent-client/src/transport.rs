//! HTTP/1.1 over TCP and TLS: connections, deadlines and retries; knows nothing of agents.

mod body;
mod chunks;
mod connector;
mod deadline;
mod limit;
mod payload;
mod plain_http;
mod pool;
mod proxy;
mod resolve;
mod retry;
mod retry_after;
mod tls;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};

pub(crate) use body::ResponseBody;
pub(crate) use chunks::Chunks;
pub(crate) use deadline::Deadline;
pub(crate) use limit::BodyLimit;
pub(crate) use payload::Meter;
pub(crate) use resolve::is_loopback;
pub(crate) use retry::{Repeat, RetryPolicy};
pub(crate) use retry_after::retry_after;

use crate::error::{Error, NetworkError};
use connector::Connector;
use payload::Payload;
use plain_http::PlainHttpWarnings;
use pool::Pool;

pub(crate) use pool::Limits;

/// A request that can be sent as often as its [`Repeat`] allows.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// What this is for, in error texts: `create sandbox`, `invoke agent`.
    pub(crate) operation: String,
    /// An absolute URI; no `Host` header is needed.
    pub(crate) request: Request<Bytes>,
    pub(crate) repeat: Repeat,
    /// Calls that clean up do not stand in the queue for a connection.
    pub(crate) queue: bool,
    /// Is told how much of the body is sent, from the start again with every attempt.
    pub(crate) meter: Option<Meter>,
    /// The most that is read of an answer that is a success.
    pub(crate) limit: BodyLimit,
}

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pool: Arc<Pool>,
    connector: Arc<Connector>,
    retry: RetryPolicy,
    plain_http: Arc<PlainHttpWarnings>,
}

impl Transport {
    pub(crate) fn new(
        limits: Limits,
        retry: RetryPolicy,
        connect_timeout: std::time::Duration,
        root_certificates: Vec<Vec<u8>>,
    ) -> Self {
        Self {
            pool: Pool::new(limits),
            connector: Arc::new(Connector::new(connect_timeout, root_certificates)),
            retry,
            plain_http: Arc::default(),
        }
    }

    /// Sends until there is an answer worth having, and reads its body: whole if it is a success,
    /// the start of it otherwise, which is enough to say what is wrong.
    ///
    /// A redirect is an answer like any other and is not followed, so no header reaches a host that
    /// it was not meant for.
    pub(crate) async fn call(
        &self,
        outgoing: &Outgoing,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let attempt = || async {
            let (head, body) = self.exchange(outgoing, deadline).await?.into_parts();
            let operation = &outgoing.operation;
            let read = async {
                if head.status.is_success() {
                    body.whole(operation, outgoing.limit).await
                } else {
                    body.start(operation).await
                }
            };
            let body = deadline.run(operation, read).await??;
            Ok(Response::from_parts(head, body))
        };
        retry::run(self.retry, outgoing.repeat, deadline, attempt).await
    }

    /// Sends until there is an answer worth having, and leaves its body to be read.
    pub(crate) async fn open(
        &self,
        outgoing: &Outgoing,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        let attempt = || self.exchange(outgoing, deadline);
        retry::run(self.retry, outgoing.repeat, deadline, attempt).await
    }

    /// One attempt: a kept-alive connection or a new one, the request, the answer's head.
    async fn exchange(
        &self,
        outgoing: &Outgoing,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        let operation = &outgoing.operation;
        let uri = outgoing.request.uri();
        let origin = pool::Origin::of(uri)?;
        self.plain_http.check(&outgoing.request);
        let failed = |source: NetworkError| Error::Network {
            operation: operation.clone(),
            source,
        };
        deadline
            .run(operation, async {
                let permit = if outgoing.queue {
                    self.pool.permit().await
                } else {
                    None
                };
                let mut connection = match self.pool.checkout(&origin).await {
                    Some(connection) => connection,
                    None => self.connector.connect(uri).await.map_err(failed)?,
                };
                let request = on_the_wire(outgoing, &connection)?;
                let response = connection.send(request).await.map_err(|(kind, error)| {
                    failed(NetworkError::new(kind, origin.host(), error))
                })?;
                let lease = pool::Lease::new(connection, origin, Arc::clone(&self.pool), permit);
                Ok(response.map(|incoming| ResponseBody::new(incoming, lease)))
            })
            .await?
    }
}

/// The request as it is written: `Host`, and the path alone unless a proxy has to see it all.
fn on_the_wire(
    outgoing: &Outgoing,
    connection: &pool::Connection,
) -> Result<Request<Payload>, Error> {
    let request = outgoing.request.clone();
    let mut request = request.map(|body| Payload::new(body, outgoing.meter.clone()));
    let invalid = |what: &str| Error::validation("url", format!("no {what} in it"));
    if !request.headers().contains_key(header::HOST) {
        let authority = request.uri().authority().ok_or_else(|| invalid("host"))?;
        // User information stays out of the Host header.
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let host = HeaderValue::from_str(host).map_err(|_| invalid("usable host"))?;
        request.headers_mut().insert(header::HOST, host);
    }
    if let Some(forward) = connection.forward_proxy() {
        if let Some(credentials) = &forward.credentials {
            request
                .headers_mut()
                .insert(header::PROXY_AUTHORIZATION, credentials.clone());
        }
    } else {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    Ok(request)
}
