//! The variables that point existing SDKs at a platform.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::home::{self, ApiKey};
use crate::server;
use crate::shared;

pub(crate) fn variables(
    address: SocketAddr,
    key: &ApiKey,
    home: &Path,
    tls: bool,
) -> BTreeMap<String, String> {
    let url = format!("http://{address}");
    let mut variables = BTreeMap::new();
    for family in ["PPIO", "E2B"] {
        let mut set =
            |name: &str, value: String| variables.insert(format!("{family}_{name}"), value);
        set("API_KEY", key.reveal().to_owned());
        set("ACCESS_TOKEN", key.reveal().to_owned());
        set("DOMAIN", shared::domain(address));
        set("API_URL", url.clone());
        // Calls of the daemon come here too and are distinguished by their headers.
        set("SANDBOX_URL", url.clone());
    }
    if tls {
        let authority = server::certificate_path(&home::certificates_path(home))
            .display()
            .to_string();
        // Python reads the first, requests the second, Node the third, curl the last.
        for name in [
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "NODE_EXTRA_CA_CERTS",
            "CURL_CA_BUNDLE",
        ] {
            variables.insert(name.to_owned(), authority.clone());
        }
        for name in ["HTTPS_PROXY", "https_proxy"] {
            variables.insert(name.to_owned(), url.clone());
        }
    }
    variables
}
