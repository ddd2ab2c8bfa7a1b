//! Establishes connections: DNS, proxy, TCP, TLS and HTTP handshake, within one time limit.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use rustls::ClientConfig;
use tower_service::Service;

use super::payload::RequestPayload;
use super::pool::{Connection, ForwardProxy};
use super::proxy::{Proxies, Proxy, ProxyRoute};
use super::resolve::Resolver;
use super::tls;
use crate::error::{NetworkError, NetworkErrorKind};

/// The idle time after which TCP probes the peer.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    proxies: Proxies,
    connect_timeout: Duration,
    root_certificates: Vec<Vec<u8>>,
    /// Created when it is first used: loading the system's certificates takes milliseconds, and
    /// a client of a local platform needs none.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(
        proxies: Proxies,
        connect_timeout: Duration,
        root_certificates: Vec<Vec<u8>>,
    ) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Detects a peer that has disappeared well before the idle timeout of a stream.
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        Self {
            tcp,
            proxies,
            connect_timeout,
            root_certificates,
            tls: OnceLock::new(),
        }
    }

    /// Opens a connection for requests to `destination`. If `tunnels` is set, a proxy that would
    /// forward requests is used as a tunnel.
    pub(super) async fn connect(
        &self,
        destination: &Uri,
        tunnels: bool,
    ) -> Result<Connection, NetworkError> {
        let host = destination.authority().map(ToString::to_string);
        let host = host.unwrap_or_default();
        // Boxed because TLS in TLS needs a future of 20 kB, which would be part of every call's
        // future.
        let connection = Box::pin(self.dial(destination, tunnels));
        match tokio::time::timeout(self.connect_timeout, connection).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(NetworkError::new(NetworkErrorKind::Connect, host, error)),
            Err(_) => {
                let message = format!("no connection within {:?}", self.connect_timeout);
                Err(NetworkError::new(NetworkErrorKind::Connect, host, message))
            }
        }
    }

    async fn dial(&self, destination: &Uri, tunnels: bool) -> Result<Connection, BoxError> {
        let secure = destination.scheme() == Some(&Scheme::HTTPS);
        let route = match self.proxies.route(destination)? {
            ProxyRoute::Forward(proxy) if tunnels => ProxyRoute::Tunnel(proxy),
            route => route,
        };
        match route {
            ProxyRoute::Direct if !secure => {
                let stream = self.tcp.clone().call(destination.clone()).await?;
                handshake(stream, None).await
            }
            ProxyRoute::Direct => {
                let mut https = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                handshake(https.call(destination.clone()).await?, None).await
            }
            ProxyRoute::Tunnel(proxy) => {
                // The connection to the proxy itself may use TLS.
                let to_proxy = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                let mut tunnel = Tunnel::new(proxy.uri.clone(), to_proxy);
                if let Some(credentials) = &proxy.credentials {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                let mut through = HttpsConnector::from((tunnel, self.tls()?));
                let stream = through.call(destination.clone()).await;
                let stream = stream.map_err(|source| ProxyError::new(&proxy, source))?;
                handshake(stream, None).await
            }
            ProxyRoute::Forward(proxy) => {
                let mut to_proxy = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                let stream = to_proxy.call(proxy.uri.clone()).await;
                let stream = stream.map_err(|source| ProxyError::new(&proxy, source))?;
                let forward = ForwardProxy {
                    credentials: proxy.credentials,
                };
                handshake(stream, Some(forward)).await
            }
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, std::io::Error> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(tls::client_config(&self.root_certificates)?);
        Ok(Arc::clone(self.tls.get_or_init(|| config)))
    }
}

/// The failure of a connection through a proxy. The text names the environment variable of the
/// proxy, because the user may not be aware that the variable is set.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect through the proxy {address} of {variable}")]
struct ProxyError {
    address: String,
    variable: &'static str,
    source: BoxError,
}

impl ProxyError {
    fn new(proxy: &Proxy, source: BoxError) -> Self {
        Self {
            address: proxy
                .uri
                .authority()
                .map(ToString::to_string)
                .unwrap_or_default(),
            variable: proxy.variable,
            source,
        }
    }
}

async fn handshake<S>(stream: S, forward: Option<ForwardProxy>) -> Result<Connection, BoxError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (sender, driver) = http1::handshake::<_, RequestPayload>(stream).await?;
    let driver = tokio::spawn(async move {
        // The sender and the body return the error to the caller too.
        if let Err(error) = driver.with_upgrades().await {
            tracing::trace!(%error, "connection ended");
        }
    });
    Ok(Connection::new(sender, driver, forward))
}
