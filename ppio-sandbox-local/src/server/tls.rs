//! TLS with certificates of a local authority, issued for a host name at the first connection that
//! names it.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::authorities;
use crate::error::Error;

const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of certificates in memory. At this number, all are dropped and issued again.
const MAX_CERTIFICATES: usize = 4096;
/// The host of the certificate for a client that names no host.
const DEFAULT_HOST: &str = "localhost";

#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    authority: Arc<CertificateAuthority>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// The local certificate authority. Its key is stored in the home of the platform.
struct CertificateAuthority {
    certificate: Certificate,
    key: KeyPair,
    // One key for all hosts: a key costs more to generate than a certificate.
    host_key: KeyPair,
    issued: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authority(..)")
    }
}

/// Returns the path of the authority's certificate.
fn certificate_path(directory: &Path) -> PathBuf {
    directory.join("ca.pem")
}

impl Tls {
    /// Reads the authority of this home, or creates it.
    pub(crate) fn open(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::home(directory))?;
        let authority = Arc::new(CertificateAuthority::open(directory)?);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Certificate(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&authority) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority,
        })
    }

    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::time::timeout(TLS_HANDSHAKE_TIMEOUT, self.acceptor.accept(stream))
            .await
            .map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")
            })?
    }

    /// Accepts a connection in a tunnel to `host`.
    pub(crate) async fn accept_for<S>(&self, stream: S, host: &str) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // The certificate is issued before the handshake, so that the handshake does not wait.
        self.authority
            .certificate_for(host)
            .map_err(|error| io::Error::other(error.to_string()))?;
        self.accept(stream).await
    }
}

impl CertificateAuthority {
    fn open(directory: &Path) -> Result<Self, Error> {
        let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
        let (certificate_path, key_path) = (certificate_path(directory), directory.join("ca.key"));
        let key = match fs::read_to_string(&key_path) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate().map_err(failed)?;
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&key_path)
                    .map_err(Error::home(&key_path))?;
                file.write_all(key.serialize_pem().as_bytes())
                    .map_err(Error::home(&key_path))?;
                key
            }
            Err(error) => return Err(Error::home(key_path)(error)),
        };
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "PPIO local platform");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        // Signed again at every start with the same key and name, so the certificates that the
        // authority issues stay trusted.
        let certificate = params.self_signed(&key).map_err(failed)?;
        if !certificate_path.exists() {
            fs::write(&certificate_path, certificate.pem())
                .map_err(Error::home(&certificate_path))?;
        }
        let stored = fs::read_to_string(&certificate_path);
        stored
            .and_then(|own| authorities::write_bundle(directory, &own))
            .map_err(Error::home(directory))?;
        Ok(Self {
            certificate,
            key,
            host_key: KeyPair::generate().map_err(failed)?,
            issued: Mutex::default(),
        })
    }

    fn certificate_for(&self, host: &str) -> Result<Arc<CertifiedKey>, Error> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(certified) = issued.get(host) {
            return Ok(Arc::clone(certified));
        }
        let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
        let mut names = vec![host.to_owned()];
        if host == DEFAULT_HOST {
            names.push("127.0.0.1".to_owned());
        }
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "PPIO local sandbox");
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&self.host_key, &self.certificate, &self.key)
            .map_err(failed)?;
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.host_key.serialize_der()));
        let key = ring::sign::any_supported_type(&key)
            .map_err(|error| Error::Certificate(error.to_string()))?;
        let certified = Arc::new(CertifiedKey::new(chain, key));
        if issued.len() >= MAX_CERTIFICATES {
            issued.clear();
        }
        issued.insert(host.to_owned(), Arc::clone(&certified));
        Ok(certified)
    }
}

impl ResolvesServerCert for CertificateAuthority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certificate_for(hello.server_name().unwrap_or(DEFAULT_HOST))
            .ok()
    }
}
