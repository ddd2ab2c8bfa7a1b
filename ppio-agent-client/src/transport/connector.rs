//! Makes connections: name, proxy, TCP, TLS, HTTP handshake, within one time limit.

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

use super::payload::Payload;
use super::pool::{Connection, ForwardProxy};
use super::proxy::{Proxies, Route};
use super::resolve::Resolver;
use super::tls;
use crate::error::{NetworkError, NetworkErrorKind};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug)]
pub(super) struct Connector {
    tcp: HttpConnector<Resolver>,
    proxies: Proxies,
    connect_timeout: Duration,
    root_certificates: Vec<Vec<u8>>,
    /// Reading the system's certificates takes milliseconds; a client that only talks to a
    /// local platform never does.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Connector {
    pub(super) fn new(connect_timeout: Duration, root_certificates: Vec<Vec<u8>>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // Notices a peer that vanished without a word, well before an idle stream's deadline.
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        Self {
            tcp,
            proxies: Proxies::from_env(),
            connect_timeout,
            root_certificates,
            tls: OnceLock::new(),
        }
    }

    /// A new connection over which requests for `destination` can be sent.
    pub(super) async fn connect(&self, destination: &Uri) -> Result<Connection, NetworkError> {
        let host = destination.authority().map(ToString::to_string);
        let host = host.unwrap_or_default();
        // Boxed because TLS in TLS makes a future of 20 kB, which every call would carry along.
        let reach = Box::pin(self.reach(destination));
        match tokio::time::timeout(self.connect_timeout, reach).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(NetworkError::new(NetworkErrorKind::Connect, host, error)),
            Err(_) => {
                let message = format!("no connection within {:?}", self.connect_timeout);
                Err(NetworkError::new(NetworkErrorKind::Connect, host, message))
            }
        }
    }

    async fn reach(&self, destination: &Uri) -> Result<Connection, BoxError> {
        let secure = destination.scheme() == Some(&Scheme::HTTPS);
        match self.proxies.route(destination) {
            Route::Direct if !secure => {
                let stream = self.tcp.clone().call(destination.clone()).await?;
                handshake(stream, None).await
            }
            Route::Direct => {
                let mut https = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                handshake(https.call(destination.clone()).await?, None).await
            }
            Route::Tunnel(proxy) => {
                // The proxy itself may be spoken to over TLS.
                let to_proxy = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                let mut tunnel = Tunnel::new(proxy.uri, to_proxy);
                if let Some(credentials) = proxy.credentials {
                    tunnel = tunnel.with_auth(credentials);
                }
                let mut through = HttpsConnector::from((tunnel, self.tls()?));
                handshake(through.call(destination.clone()).await?, None).await
            }
            Route::Forward(proxy) => {
                let mut to_proxy = HttpsConnector::from((self.tcp.clone(), self.tls()?));
                let stream = to_proxy.call(proxy.uri).await?;
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

async fn handshake<S>(stream: S, forward: Option<ForwardProxy>) -> Result<Connection, BoxError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (sender, driver) = http1::handshake::<_, Payload>(stream).await?;
    let driver = tokio::spawn(async move {
        // Whoever uses the connection is told of its end by the sender or the body.
        if let Err(error) = driver.await {
            tracing::trace!(%error, "connection ended");
        }
    });
    Ok(Connection::new(sender, driver, forward))
}
