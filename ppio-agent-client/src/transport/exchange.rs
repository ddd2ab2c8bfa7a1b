//! Sends requests and reads responses, with the pool, the connector, deadlines and retries.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};

use super::body::ResponseBody;
use super::connector::Connector;
use super::deadline::Deadline;
use super::payload::RequestPayload;
use super::plain_http::PlainHttpWarnings;
use super::pool::{Pool, PoolLimits};
use super::prepared_request::PreparedRequest;
use super::proxy::Proxies;
use super::retry::RetryPolicy;
use super::{pool, retry};
use crate::config::ClientConfig;
use crate::error::{Error, NetworkError};

/// Sends requests. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pool: Arc<Pool>,
    connector: Arc<Connector>,
    retry: RetryPolicy,
    plain_http: Arc<PlainHttpWarnings>,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig, proxies: Proxies) -> Self {
        let limits = PoolLimits {
            max_active: config.max_connections,
            max_idle: config.max_keepalive_connections,
            idle_timeout: config.keepalive_expiry,
        };
        let retry = RetryPolicy {
            max_retries: config.max_retries,
            delay: config.retry_delay,
            max_delay: config.max_retry_delay,
        };
        let certificates = config.root_certificates.clone();
        let connector = Connector::new(proxies, config.connect_timeout, certificates);
        Self {
            pool: Pool::new(limits),
            connector: Arc::new(connector),
            retry,
            plain_http: Arc::default(),
        }
    }

    /// Sends the request, with retries, and reads the response: the whole body of a successful
    /// response, or the start of the body of any other response, which contains the error text.
    ///
    /// Redirects are not followed, so that no header reaches another host.
    pub(crate) async fn call(
        &self,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, Error> {
        let attempt = || async {
            let (head, body) = self.exchange(prepared, deadline).await?.into_parts();
            let operation = &prepared.operation;
            let read = async {
                if head.status.is_success() {
                    body.whole(operation, prepared.limit).await
                } else {
                    body.start(operation).await
                }
            };
            let body = deadline.run(operation, read).await??;
            Ok(Response::from_parts(head, body))
        };
        retry::run(self.retry, || prepared.idempotency(), deadline, attempt).await
    }

    /// Sends the request, with retries, and returns the response with its body unread.
    pub(crate) async fn open(
        &self,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        let attempt = || self.exchange(prepared, deadline);
        retry::run(self.retry, || prepared.idempotency(), deadline, attempt).await
    }

    /// How often a request is retried, and how long the pauses are.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        self.retry
    }

    /// Makes one attempt: takes an idle connection or opens one, sends the request, and reads the
    /// response headers.
    async fn exchange(
        &self,
        prepared: &PreparedRequest,
        deadline: Deadline,
    ) -> Result<Response<ResponseBody>, Error> {
        let operation = &prepared.operation;
        let uri = prepared.request.uri();
        let origin = pool::Origin::of(uri)?;
        self.plain_http.check(&prepared.request);
        let failed = |source: NetworkError| Error::Network {
            operation: operation.clone(),
            source,
        };
        deadline
            .run(operation, async {
                let permit = if prepared.queue {
                    self.pool.permit().await
                } else {
                    None
                };
                let upgrade = prepared.upgrade;
                let idle = if upgrade {
                    None
                } else {
                    self.pool.checkout(&origin).await
                };
                let mut connection = match idle {
                    Some(connection) => connection,
                    None => self.connector.connect(uri, upgrade).await.map_err(failed)?,
                };
                let request = wire_request(prepared, &connection)?;
                let response = connection.send(request).await.map_err(|(kind, error)| {
                    failed(NetworkError::new(kind, origin.host(), error))
                })?;
                prepared.key_support.record(response.headers());
                let pooled =
                    pool::PooledConnection::new(connection, origin, Arc::clone(&self.pool), permit);
                let is_upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
                Ok(response.map(|incoming| {
                    if is_upgraded {
                        ResponseBody::upgraded(incoming, pooled)
                    } else {
                        ResponseBody::new(incoming, pooled)
                    }
                }))
            })
            .await?
    }
}

/// Builds the request as it is sent: with a `Host` header, and with path and query instead of the
/// absolute URI unless a proxy forwards the request.
fn wire_request(
    prepared: &PreparedRequest,
    connection: &pool::Connection,
) -> Result<Request<RequestPayload>, Error> {
    let request = prepared.request.clone();
    let mut request = request.map(|body| RequestPayload::new(body, prepared.meter.clone()));
    let invalid = |what: &str| Error::validation("url", format!("has no {what}"));
    if !request.headers().contains_key(header::HOST) {
        let authority = request.uri().authority().ok_or_else(|| invalid("host"))?;
        // User information does not belong in the Host header.
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
