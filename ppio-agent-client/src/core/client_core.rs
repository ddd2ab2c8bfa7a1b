//! The state that a client, its clones and its sessions share.

use super::background::BackgroundTasks;
use crate::config::{AuthManager, ClientConfig, MAX_RESPONSE_SIZE, Secret};
use crate::platform::{ControlPlane, Envd, PlatformEndpoints, SandboxAddress, Service};
use crate::templates::{StartCommandCache, TemplateManager};
use crate::transport::{BodyLimit, KeySupport, Proxies, Transport};

#[derive(Debug)]
pub(crate) struct ClientCore {
    pub(crate) config: ClientConfig,
    pub(crate) endpoints: PlatformEndpoints,
    pub(crate) auth: AuthManager,
    pub(crate) platform: ControlPlane,
    pub(crate) templates: TemplateManager,
    pub(crate) start_commands: StartCommandCache,
    pub(crate) background: BackgroundTasks,
    transport: Transport,
}

impl ClientCore {
    pub(crate) fn new(
        config: ClientConfig,
        endpoints: PlatformEndpoints,
        auth: AuthManager,
        proxies: Proxies,
    ) -> Self {
        let transport = Transport::new(&config, proxies);
        let platform =
            ControlPlane::new(transport.clone(), &endpoints, auth.clone(), config.timeout);
        Self {
            templates: TemplateManager::of(platform.clone()),
            start_commands: StartCommandCache::default(),
            background: BackgroundTasks::default(),
            config,
            endpoints,
            auth,
            transport,
            platform,
        }
    }

    /// Returns the service on a port of a sandbox. The only headers of the service are those that
    /// route to the sandbox.
    pub(crate) fn port_of(&self, address: &SandboxAddress, port: u16) -> Service {
        let (base, headers) = self.endpoints.port_of(address, port);
        Service {
            transport: self.transport.clone(),
            base,
            headers,
            auth: self.auth.clone(),
            timeout: self.config.timeout,
            limit: self.response_limit(),
            key_support: KeySupport::default(),
            invalid_address: address.validation_error(),
        }
    }

    /// The size limit of data that agents and sandboxes send.
    pub(crate) fn response_limit(&self) -> BodyLimit {
        let size = self.config.max_response_size;
        BodyLimit::configured(size.unwrap_or(MAX_RESPONSE_SIZE))
    }

    pub(crate) fn envd(&self, address: &SandboxAddress, token: Option<&Secret>) -> Envd {
        let idle_timeout = self.config.stream_idle_timeout;
        let service = self.port_of(address, ppio_agent_protocol::headers::ENVD_PORT);
        Envd::new(service, address, token, idle_timeout)
    }
}
