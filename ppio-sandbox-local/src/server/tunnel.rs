//! `CONNECT`: clients that always call `https://{port}-{id}.{domain}` reach the platform through
//! `HTTPS_PROXY`. Connections to all other hosts are tunnelled to those hosts.

use std::io;
use std::time::Duration;

use axum::http::uri::Authority;
use axum::http::{Request, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ppio_agent_connection::RequestBody;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;
use super::upstream_proxy;
use crate::api::ApiError;
use crate::edge::Edge;

/// The timeout of a connection to another host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A `CONNECT` request that was accepted.
#[derive(Debug)]
pub(super) enum Tunnel {
    ToPlatform(PlatformTunnel),
    Remote(RemoteTunnel),
}

/// A tunnel to this platform.
#[derive(Debug)]
pub(super) struct PlatformTunnel {
    request: Request<RequestBody>,
    tls: Tls,
    host: String,
}

/// A tunnel to another host.
#[derive(Debug)]
pub(super) struct RemoteTunnel {
    request: Request<RequestBody>,
    stream: TcpStream,
}

/// Answers a `CONNECT` request; `own_port` is the port of the platform.
///
/// # Errors
///
/// If the platform was started without TLS, the request names no port, or the host does not answer.
pub(super) async fn open(
    edge: &Edge,
    tls: Option<&Tls>,
    own_port: u16,
    request: Request<RequestBody>,
) -> Result<Tunnel, ApiError> {
    let Some(tls) = tls else {
        let message = "tunnels need the TLS mode of the local platform";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, message));
    };
    let authority = request.uri().authority();
    let target = authority.and_then(|target| Some((target, target.port_u16()?)));
    let Some((target, port)) = target else {
        let message = "a CONNECT request must name a host and a port, such as example.com:443";
        return Err(ApiError::bad_request(message));
    };
    let host = target.host().to_owned();
    if edge.is_reached_at(&host, port, own_port) {
        return Ok(Tunnel::ToPlatform(PlatformTunnel {
            request,
            tls: tls.clone(),
            host,
        }));
    }
    let stream = connect(target, port).await.map_err(|error| {
        let message = format!("failed to connect to {target}: {error}");
        ApiError::new(StatusCode::BAD_GATEWAY, message)
    })?;
    Ok(Tunnel::Remote(RemoteTunnel { request, stream }))
}

async fn connect(target: &Authority, port: u16) -> io::Result<TcpStream> {
    let host = target.host().trim_start_matches('[').trim_end_matches(']');
    let connecting = async {
        match upstream_proxy::for_host(host) {
            Some(proxy) => proxy.connect(target).await,
            None => TcpStream::connect((host, port)).await,
        }
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl PlatformTunnel {
    /// Waits until the caller has received the answer to its `CONNECT` request, then for the
    /// caller's TLS handshake.
    pub(super) async fn accept(self) -> io::Result<TlsStream<TokioIo<Upgraded>>> {
        let upgraded = hyper::upgrade::on(self.request)
            .await
            .map_err(io::Error::other)?;
        self.tls
            .accept_for(TokioIo::new(upgraded), &self.host)
            .await
    }
}

impl RemoteTunnel {
    /// Waits until the caller has received the answer, then passes bytes on until both directions
    /// end.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let upgraded = hyper::upgrade::on(self.request)
            .await
            .map_err(io::Error::other)?;
        let mut caller = TokioIo::new(upgraded);
        tokio::io::copy_bidirectional(&mut caller, &mut self.stream).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;

    use crate::{IsolationKind, LocalPlatform};

    async fn start(home: &Path) -> LocalPlatform {
        LocalPlatform::builder()
            .home(home)
            .tls(true)
            .isolation(IsolationKind::ProcessGroup)
            .start()
            .await
            .unwrap()
    }

    async fn connect(platform: &LocalPlatform, target: &str) -> (String, TcpStream) {
        let mut tunnel = TcpStream::connect(platform.address()).await.unwrap();
        let head = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        tunnel.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(tunnel.read_u8().await.unwrap());
        }
        (String::from_utf8(answer).unwrap(), tunnel)
    }

    #[tokio::test]
    async fn connections_to_other_hosts_are_passed_on() {
        let home = tempfile::tempdir().unwrap();
        let platform = start(home.path()).await;
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = other.local_addr().unwrap().port();
        let echo = tokio::spawn(async move {
            loop {
                let (stream, _) = other.accept().await.unwrap();
                let (mut reader, mut writer) = stream.into_split();
                tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            }
        });
        for target in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
            let (head, mut tunnel) = connect(&platform, &target).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
            tunnel.write_all(b"not TLS at all").await.unwrap();
            tunnel.shutdown().await.unwrap();
            let mut echoed = String::new();
            tunnel.read_to_string(&mut echoed).await.unwrap();
            assert_eq!(echoed, "not TLS at all", "{target}");
        }
        echo.abort();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = closed.local_addr().unwrap().port();
        drop(closed);
        for (target, status) in [
            (format!("127.0.0.1:{port}"), "502"),
            ("localhost".into(), "400"),
        ] {
            let (head, _) = connect(&platform, &target).await;
            assert_eq!(head.split(' ').nth(1), Some(status), "{target}: {head}");
        }
        platform.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn upload_links_have_the_origin_of_the_request() {
        let home = tempfile::tempdir().unwrap();
        let platform = start(home.path()).await;
        let request = format!(
            "GET /templates/base/files/abc HTTP/1.1\r\nhost: api.localhost\r\n\
             x-api-key: {}\r\nconnection: close\r\n\r\n",
            platform.api_key()
        );
        let mut answer = String::new();

        let mut plain = TcpStream::connect(platform.address()).await.unwrap();
        plain.write_all(request.as_bytes()).await.unwrap();
        plain.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\"http://api.localhost/"), "{answer}");

        let (_, tunnel) = connect(&platform, "api.localhost:443").await;
        let authority = &platform.environment()["SSL_CERT_FILE"];
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(authority).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("api.localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut secure = connector.connect(name, tunnel).await.unwrap();
        secure.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        secure.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\"https://api.localhost/"), "{answer}");
        platform.shutdown().await.unwrap();
    }
}
