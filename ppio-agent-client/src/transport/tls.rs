//! The TLS configuration and its trusted certificates.

use std::io;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// A TLS configuration that trusts the system's certificates (or those of `SSL_CERT_FILE` and
/// `SSL_CERT_DIR`), Mozilla's where the system has none, and `extra` PEM bundles.
pub(super) fn client_config(extra: &[Vec<u8>]) -> Result<ClientConfig, io::Error> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    let chosen = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if let (Some(name), Some(error)) = (chosen, system.errors.first()) {
        // A fallback would trust certificates that the user did not choose.
        return Err(io::Error::other(format!("{name}: {error}")));
    }
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for bundle in extra {
        for certificate in CertificateDer::pem_slice_iter(bundle) {
            let certificate = certificate.map_err(io::Error::other)?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
    }
    let provider = rustls::crypto::ring::default_provider();
    Ok(ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
