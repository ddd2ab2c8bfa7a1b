//! Warnings about requests over plain http to another machine, at most two for each host: one for
//! requests with credentials, and one for requests without.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::uri::Scheme;
use http::{Request, header};
use ppio_agent_protocol::headers;
use ppio_agent_protocol::host::is_loopback;

use crate::config::TRAFFIC_TOKEN;

/// The hosts for which a warning was logged.
#[derive(Debug, Default)]
pub(super) struct PlainHttpWarnings(Mutex<HashSet<WarnedHost>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct WarnedHost {
    host: String,
    credentials: bool,
}

impl PlainHttpWarnings {
    /// Logs a warning if the request crosses a network unencrypted, unless the same warning was
    /// logged before for the host.
    pub(super) fn check<B>(&self, request: &Request<B>) {
        let uri = request.uri();
        let Some(host) = uri.host() else { return };
        if uri.scheme() != Some(&Scheme::HTTP) || is_loopback(host) {
            return;
        }
        let credentials = [
            header::AUTHORIZATION.as_str(),
            headers::API_KEY,
            headers::ACCESS_TOKEN,
            TRAFFIC_TOKEN,
        ]
        .into_iter()
        .any(|name| request.headers().contains_key(name));
        let warned = WarnedHost {
            host: host.to_ascii_lowercase(),
            credentials,
        };
        // A panic cannot leave a set in an invalid state.
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !hosts.insert(warned) {
            return;
        }
        drop(hosts);
        if credentials {
            tracing::warn!(
                host,
                "the API key or token is sent unencrypted over plain http, use an https:// address"
            );
        } else {
            tracing::warn!(
                host,
                "data is sent unencrypted over plain http, use an https:// address"
            );
        }
    }
}
