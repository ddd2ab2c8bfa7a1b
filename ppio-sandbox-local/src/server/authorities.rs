//! The certificates that clients of the platform trust: those of the platform's own authority and
//! of the machine.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::environment;

/// The files in which systems keep the certificates that programs trust.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The variables with which a user specifies other certificates. In TLS mode, `local env` sets
/// these variables to the path of the bundle.
pub(crate) const VARIABLES: [&str; 4] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "CURL_CA_BUNDLE",
];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Returns the path of the file with all certificates.
pub(crate) fn bundle_path(directory: &Path) -> PathBuf {
    directory.join("bundle.pem")
}

/// Writes `own`, a certificate, and the certificates that this process trusts to the bundle.
pub(super) fn write_bundle(directory: &Path, own: &str) -> io::Result<()> {
    let named = VARIABLES
        .iter()
        .filter_map(|name| environment::variable(name))
        .map(PathBuf::from);
    let own = std::iter::once(own.to_owned());
    let bundle = joined(own.chain(texts(named, SYSTEM)));
    let path = bundle_path(directory);
    // Renamed, so that a client that starts at the same time reads the whole file.
    let aside = path.with_extension("pem.new");
    fs::write(&aside, bundle)?;
    fs::rename(aside, path)
}

/// Returns every certificate in `texts` once.
fn joined(texts: impl Iterator<Item = String>) -> String {
    let mut bundle = String::new();
    let mut known = BTreeSet::new();
    for text in texts {
        for certificate in certificates(&text) {
            if known.insert(certificate.to_owned()) {
                bundle.push_str(certificate);
                bundle.push('\n');
            }
        }
    }
    bundle
}

/// Returns the text of every file that can be read: the files that the user names, and those of the
/// system.
fn texts(named: impl Iterator<Item = PathBuf>, system: &[&str]) -> Vec<String> {
    let files = named.chain(system.iter().map(PathBuf::from));
    files
        .filter_map(|file| fs::read(file).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect()
}

fn certificates(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGIN).filter_map(|(start, _)| {
        let length = text[start..].find(END)? + END.len();
        Some(&text[start..start + length])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_has_each_certificate_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let [own, system, named] =
            ["AA", "BB", "CC"].map(|name| format!("{BEGIN}\n{name}\n{END}\n"));
        fs::write(at("system"), format!("# of the machine\n{system}")).unwrap();
        fs::write(at("named"), format!("{named}{own}{system}")).unwrap();
        let system_path = at("system");
        let system_path = system_path.to_str().unwrap();
        let found = texts(
            [at("named"), at("missing")].into_iter(),
            &["/nowhere", system_path],
        );
        let bundle = joined(std::iter::once(own.clone()).chain(found));
        assert_eq!(bundle, format!("{own}{named}{system}"));
    }

    #[test]
    fn certificates_are_taken_from_any_text() {
        let first = format!("{BEGIN}\nAA\n{END}");
        let second = format!("{BEGIN}\nBB\n{END}");
        let text = format!("# a comment\n{first}\nsubject=x\n{second}{BEGIN}\ncut off");
        assert_eq!(certificates(&text).collect::<Vec<_>>(), [first, second]);
    }
}
