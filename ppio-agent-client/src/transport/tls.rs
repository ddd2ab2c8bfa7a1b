//! The TLS configuration and its trusted certificates.

use std::io;
use std::path::Path;

use ppio_agent_protocol::environment;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Returns the certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or the system's if neither
/// variable is set. An empty variable counts as not set.
fn system_certificates() -> Result<Vec<CertificateDer<'static>>, io::Error> {
    let file = environment::variable("SSL_CERT_FILE");
    let folders = environment::variable("SSL_CERT_DIR");
    if file.is_none() && folders.is_none() {
        return Ok(rustls_native_certs::load_native_certs().certs);
    }
    let mut certificates = Vec::new();
    let mut load = |name: &str, file: Option<&Path>, folder: Option<&Path>| {
        let found = rustls_native_certs::load_certs_from_paths(file, folder);
        certificates.extend(found.certs);
        match found.errors.first() {
            Some(error) => Err(io::Error::other(format!("{name}: {error}"))),
            None => Ok(()),
        }
    };
    if let Some(file) = &file {
        load("SSL_CERT_FILE", Some(file.as_ref()), None)?;
    }
    for folder in folders.iter().flat_map(std::env::split_paths) {
        if !folder.as_os_str().is_empty() {
            load("SSL_CERT_DIR", None, Some(&folder))?;
        }
    }
    Ok(certificates)
}

/// Returns a TLS configuration that trusts the system's certificates (or those of `SSL_CERT_FILE`
/// and `SSL_CERT_DIR`), Mozilla's if the system has none, and `extra` PEM bundles.
pub(super) fn client_config(extra: &[Vec<u8>]) -> Result<ClientConfig, io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system_certificates()?);
    if roots.is_empty() {
        let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
        let mut set = variables.filter(|name| environment::variable(name).is_some());
        match set.next() {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            // Mozilla's certificates would not be those that the user chose.
            Some(name) if extra.is_empty() => {
                return Err(io::Error::other(format!("{name}: found no certificate")));
            }
            Some(_) => {}
        }
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
