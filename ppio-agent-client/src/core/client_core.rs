//! What a client, its clones and its sessions share.

use tokio::task::JoinSet;

use super::background::Background;
use crate::config::AuthManager;
use crate::config::Secret;
use crate::config::{ClientConfig, MAX_RESPONSE_SIZE};
use crate::error::Error;
use crate::platform::{ControlPlane, Endpoints, Envd, SandboxAddress, Service};
use crate::session::Registry;
use crate::templates::{StartCommandCache, TemplateManager};
use crate::transport::{BodyLimit, Limits, RetryPolicy, Transport};

#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) config: ClientConfig,
    pub(crate) endpoints: Endpoints,
    pub(crate) auth: AuthManager,
    pub(crate) transport: Transport,
    pub(crate) platform: ControlPlane,
    pub(crate) templates: TemplateManager,
    pub(crate) start_commands: StartCommandCache,
    pub(crate) sessions: Registry,
    pub(crate) background: Background,
}

impl ClientCore {
    pub(crate) fn new(config: ClientConfig, endpoints: Endpoints, auth: AuthManager) -> Self {
        let limits = Limits {
            max_active: config.max_connections,
            max_idle: config.max_keepalive_connections,
            expiry: config.keepalive_expiry,
        };
        let retry = RetryPolicy {
            max_retries: config.max_retries,
            delay: config.retry_delay,
            max_delay: config.max_retry_delay,
        };
        let certificates = config.root_certificates.clone();
        let transport = Transport::new(limits, retry, config.connect_timeout, certificates);
        let platform = ControlPlane::new(
            transport.clone(),
            endpoints.control_plane(),
            auth.clone(),
            config.timeout,
            endpoints.is_legacy(),
        );
        Self {
            templates: TemplateManager::new(platform.clone()),
            start_commands: StartCommandCache::default(),
            sessions: Registry::default(),
            background: Background::default(),
            config,
            endpoints,
            auth,
            transport,
            platform,
        }
    }

    /// A port of a sandbox as a service, with nothing but routing in its headers.
    pub(crate) fn port_of(&self, address: &SandboxAddress, port: u16) -> Service {
        let (base, headers) = self.endpoints.port_of(address, port);
        Service {
            transport: self.transport.clone(),
            base,
            headers,
            auth: self.auth.clone(),
            timeout: self.config.timeout,
            limit: self.response_limit(),
            refused: address.unusable(),
        }
    }

    /// The most that is read of what agents and sandboxes send.
    pub(crate) fn response_limit(&self) -> BodyLimit {
        let size = self.config.max_response_size;
        BodyLimit::configured(size.unwrap_or(MAX_RESPONSE_SIZE))
    }

    pub(crate) fn envd(&self, address: &SandboxAddress, token: Option<&Secret>) -> Envd {
        let idle = self.config.stream_idle_timeout;
        let service = self.port_of(address, ppio_agent_protocol::headers::ENVD_PORT);
        Envd::new(service, address, token, idle)
    }

    pub(crate) async fn close_all_sessions(&self) -> Result<(), Error> {
        let mut closing = JoinSet::new();
        for session in self.sessions.owned() {
            closing.spawn(async move { session.close().await });
        }
        let mut outcome = Ok(());
        while let Some(closed) = closing.join_next().await {
            // A task that panicked has no result to report; closing does not panic.
            if let Ok(Err(error)) = closed {
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }
}
