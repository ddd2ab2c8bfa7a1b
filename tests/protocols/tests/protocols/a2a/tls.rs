//! Push notifications over TLS.

use std::sync::Arc;

use ppio_test_support::{AgentProcess, with_timeout};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::receiver::{Answer, receive};
use super::{call, message};

/// Returns a certificate authority, and a receiver's certificate that it signed.
fn certificates() -> (String, TlsAcceptor) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = certificate
        .signed_by(&key, &authority, &authority_key)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_needs_a_trusted_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = folder.path().join("authority.pem");
    let (authority, good) = certificates();
    std::fs::write(&trusted, authority).unwrap();
    let (_, bad) = certificates();
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_protocol-agent"));
    program
        .env("PPIO_AGENT_A2A_PUSH_PRIVATE", "true")
        .env("SSL_CERT_FILE", &trusted)
        .env_remove("SSL_CERT_DIR");
    let agent = AgentProcess::command(program).start();
    for (acceptor, host, is_good) in [
        (&good, "localhost", true),
        // The certificate is for another name.
        (&good, "127.0.0.1", false),
        (&bad, "localhost", false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut request = message("hello");
        let push = json!({"url": format!("https://{host}:{port}/hook")});
        request["configuration"] = json!({"taskPushNotificationConfig": push});
        let json = [("content-type", "application/json")];
        let body = call("SendMessage", &request).to_string();
        let sent = ppio_test_support::call::send(&agent, "POST", "/a2a", &json, body);
        assert_eq!(sent.await.status(), 200);
        let accepted = async {
            let (stream, _) = listener.accept().await.unwrap();
            acceptor.accept(stream).await
        };
        let accepted = with_timeout("a connection", accepted).await;
        assert_eq!(accepted.is_ok(), is_good, "{host}: {:?}", accepted.err());
        if let Ok(stream) = accepted {
            let (sender, mut received) = mpsc::unbounded_channel();
            receive(stream, Answer::Status(200), sender).await;
            assert_eq!(received.recv().await.unwrap().path, "/hook");
        }
    }
}
