//! `CONNECT` for sandbox hosts: clients that always call `https://{port}-{id}.{domain}` reach the
//! platform through `HTTPS_PROXY` and `SSL_CERT_FILE`.

use std::io;

use axum::http::{Request, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ppio_agent_connection::RequestBody;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;
use crate::api::ApiError;
use crate::edge::Edge;

/// A `CONNECT` request that was accepted.
#[derive(Debug)]
pub(super) struct Tunnel {
    request: Request<RequestBody>,
    tls: Tls,
    host: String,
}

/// Checks a `CONNECT` request.
///
/// # Errors
///
/// The platform speaks no TLS, or `host` is neither its own nor a sandbox's.
pub(super) fn check(
    edge: &Edge,
    tls: Option<&Tls>,
    request: Request<RequestBody>,
) -> Result<Tunnel, ApiError> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let Some(tls) = tls else {
        let message = "tunnels need the TLS mode of the local platform";
        return Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, message));
    };
    if !edge.answers_for(&host) {
        let message = format!(
            "{host} is not a sandbox or the control plane: put it into NO_PROXY to reach it directly"
        );
        return Err(ApiError::new(StatusCode::FORBIDDEN, message));
    }
    Ok(Tunnel {
        request,
        tls: tls.clone(),
        host,
    })
}

impl Tunnel {
    /// Waits until the caller has the answer to its `CONNECT` request, then for its TLS handshake.
    pub(super) async fn open(self) -> io::Result<TlsStream<TokioIo<Upgraded>>> {
        let upgraded = hyper::upgrade::on(self.request)
            .await
            .map_err(io::Error::other)?;
        self.tls
            .accept_for(TokioIo::new(upgraded), &self.host)
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use crate::{IsolationKind, LocalPlatform};

    #[tokio::test]
    async fn upload_links_are_good_where_the_request_came_from() {
        let home = tempfile::tempdir().unwrap();
        let platform = LocalPlatform::builder()
            .home(home.path())
            .tls(true)
            .isolation(IsolationKind::ProcessGroup)
            .start()
            .await
            .unwrap();
        let request = format!(
            "GET /templates/base/files/abc HTTP/1.1\r\nhost: api.localhost\r\n\
             x-api-key: {}\r\nconnection: close\r\n\r\n",
            platform.api_key()
        );
        let connect = || TcpStream::connect(platform.address());
        let mut answer = String::new();

        let mut plain = connect().await.unwrap();
        plain.write_all(request.as_bytes()).await.unwrap();
        plain.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\"http://api.localhost/"), "{answer}");

        let mut tunnel = connect().await.unwrap();
        tunnel
            .write_all(b"CONNECT api.localhost:443 HTTP/1.1\r\nhost: api.localhost:443\r\n\r\n")
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tunnel.read_u8().await.unwrap());
        }
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
