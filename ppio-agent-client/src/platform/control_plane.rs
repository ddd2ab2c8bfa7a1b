//! The control plane: makes, lists and ends sandboxes and templates.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use ppio_agent_protocol::headers;

use super::call::{Service, ServiceCall};
use crate::config::AuthManager;
use crate::transport::{BodyLimit, Transport};

/// The most that is read of one answer: a long list of templates has some megabytes.
const LIMIT: usize = 16 * 1024 * 1024;

/// A client of the control plane. Cheap to clone.
///
/// Its calls come in groups: sandboxes, logs and metrics, templates, builds, tags.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    pub(super) service: Service,
    pub(super) legacy: bool,
}

impl ControlPlane {
    pub(crate) fn new(
        transport: Transport,
        base: &str,
        auth: AuthManager,
        timeout: Duration,
        legacy: bool,
    ) -> Self {
        let key = HeaderName::from_static(headers::API_KEY);
        Self {
            service: Service {
                transport,
                base: base.to_owned(),
                headers: HeaderMap::from_iter([(key, auth.key_header())]),
                auth,
                timeout,
                limit: BodyLimit::fixed(LIMIT),
                invalid_address: None,
            },
            legacy,
        }
    }

    /// Calls about templates want the token beside the key.
    pub(super) fn with_token(&self, call: ServiceCall) -> ServiceCall {
        call.header(header::AUTHORIZATION, self.service.auth.token_header())
    }
}
