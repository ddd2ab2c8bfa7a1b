//! `CONNECT` for sandbox hosts: clients that insist on `https://{port}-{id}.{domain}` reach the
//! platform with nothing but `HTTPS_PROXY` and `SSL_CERT_FILE`.

use std::sync::Arc;

use axum::body::Body;
use axum::http::uri::Scheme;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::api_error::ApiError;
use crate::listener::{Front, serve_http};

pub(crate) fn open(front: &Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let Some(tls) = front.tls.clone() else {
        let message = "tunnels need the TLS mode of the local platform";
        return ApiError::new(StatusCode::NOT_IMPLEMENTED, message).into_response();
    };
    if !front.edge.answers_for(&host) {
        let message = format!(
            "{host} is not a sandbox or the control plane: put it into NO_PROXY to reach it directly"
        );
        return ApiError::new(StatusCode::FORBIDDEN, message).into_response();
    }
    let front = Arc::clone(front);
    // Ends with the caller's connection.
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else {
            return;
        };
        match tls.accept_for(TokioIo::new(upgraded), &host).await {
            Ok(stream) => Box::pin(serve_http(&front, stream, Scheme::HTTPS)).await,
            Err(error) => tracing::debug!(%error, %host, "a TLS handshake in a tunnel failed"),
        }
    });
    Response::new(Body::empty())
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
