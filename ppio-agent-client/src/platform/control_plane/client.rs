//! The client of the control plane.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use ppio_agent_protocol::headers;

use crate::config::AuthManager;
use crate::platform::call::{Service, ServiceCall};
use crate::platform::endpoints::PlatformEndpoints;
use crate::transport::{BodyLimit, KeySupport, Transport};

/// The size limit of one response, in bytes: a long list of templates has a few megabytes.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// A client of the control plane, which manages sandboxes and templates. Cheap to clone.
///
/// Its methods cover sandboxes, their logs and metrics, templates, builds, and tags.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    pub(super) service: Service,
    pub(super) legacy: bool,
}

impl ControlPlane {
    pub(crate) fn new(
        transport: Transport,
        endpoints: &PlatformEndpoints,
        auth: AuthManager,
        timeout: Duration,
    ) -> Self {
        let key = HeaderName::from_static(headers::API_KEY);
        Self {
            service: Service {
                transport,
                base: endpoints.control_plane().to_owned(),
                headers: HeaderMap::from_iter([(key, auth.key_header())]),
                auth,
                timeout,
                limit: BodyLimit::fixed(MAX_RESPONSE),
                key_support: KeySupport::default(),
                invalid_address: None,
            },
            legacy: endpoints.is_legacy(),
        }
    }

    /// Adds the `Authorization` header, with the access token or, if there is none, the API key.
    /// Calls about templates require this header in addition to the API key's own header.
    pub(super) fn with_token(&self, call: ServiceCall) -> ServiceCall {
        call.header(header::AUTHORIZATION, self.service.auth.token_header())
    }
}
