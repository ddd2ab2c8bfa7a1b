//! The state that all requests share.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::api::IdempotentAnswers;
use crate::home::ApiKey;
use crate::home::Home;
use crate::sandbox::SandboxRegistry;
use crate::template::{TemplateBuilder, TemplateStore, Uploads};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    pub(crate) key: ApiKey,
    pub(crate) templates: Arc<TemplateStore>,
    pub(crate) uploads: Uploads,
    pub(crate) builder: TemplateBuilder,
    pub(crate) sandboxes: Arc<SandboxRegistry>,
    /// The answers to requests with an idempotency key that created sandboxes.
    pub(crate) creations: IdempotentAnswers,
    pub(crate) home: Home,
}

impl Shared {
    /// Returns the domain under which sandboxes are reached, as in `{port}-{id}.{domain}`.
    pub(crate) fn domain(&self) -> String {
        domain(self.address)
    }
}

/// Returns the domain of a platform that listens on `address`.
pub(crate) fn domain(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}
