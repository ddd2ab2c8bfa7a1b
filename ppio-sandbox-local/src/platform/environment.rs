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
    for family in ["PPIO", "E2B", "NOVITA"] {
        let mut set =
            |name: &str, value: String| variables.insert(format!("{family}_{name}"), value);
        set("API_KEY", key.reveal().to_owned());
        set("ACCESS_TOKEN", key.reveal().to_owned());
        set("DOMAIN", shared::domain(address));
        set("API_URL", url.clone());
        // Calls to the daemon are also sent to this URL and are distinguished by their headers.
        set("SANDBOX_URL", url.clone());
    }
    if tls {
        let bundle = server::bundle_path(&home::certificates_path(home));
        for name in server::CERTIFICATE_VARIABLES {
            variables.insert(name.to_owned(), bundle.display().to_string());
        }
        for name in ["HTTPS_PROXY", "https_proxy"] {
            variables.insert(name.to_owned(), url.clone());
        }
        // Node reads the proxy variables only if this variable is set.
        variables.insert("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
    }
    variables
}
