//! envd, the daemon in every sandbox: health, files, processes.

mod envelope;
mod files;
mod process;
mod process_events;
mod rpc;

use http::{HeaderName, HeaderValue, header};
use ppio_agent_protocol::headers;

pub use files::Entry;
pub use process::{Command, ProcessInfo, ProcessSelector, Signal};
pub use process_events::{ExitStatus, Output, ProcessEvent, ProcessEvents};

use super::call::{Call, Service};
use super::endpoints::SandboxAddress;
use crate::error::Error;
use crate::secret::Secret;

/// A client of one sandbox's daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Envd {
    service: Service,
    sandbox_id: String,
    idle: std::time::Duration,
}

impl Envd {
    pub(crate) fn new(
        mut service: Service,
        address: &SandboxAddress,
        token: Option<&Secret>,
        idle: std::time::Duration,
    ) -> Self {
        if let Some(token) = token.and_then(|token| token.header("")) {
            let name = HeaderName::from_static(headers::ACCESS_TOKEN);
            service.headers.insert(name, token);
        }
        Self {
            service,
            sandbox_id: address.sandbox_id.clone(),
            idle,
        }
    }

    /// Acts as this user of the sandbox; the platform's default user otherwise.
    ///
    /// ```
    /// fn as_root(envd: ppio_agent_client::platform::Envd) -> ppio_agent_client::platform::Envd {
    ///     envd.with_user("root")
    /// }
    /// ```
    pub fn with_user(mut self, user: &str) -> Self {
        use base64::Engine as _;
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:"));
        if let Ok(value) = HeaderValue::from_str(&format!("Basic {credentials}")) {
            self.service.headers.insert(header::AUTHORIZATION, value);
        }
        self
    }

    /// Whether the sandbox runs: `false` if the edge says that it does not.
    ///
    /// ```no_run
    /// # async fn run(envd: ppio_agent_client::platform::Envd) -> Result<(), ppio_agent_client::Error> {
    /// assert!(envd.is_running().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn is_running(&self) -> Result<bool, Error> {
        // 502 is the answer here, not a failure to try again for.
        let call = Call::get("check sandbox", "/health").repeat(crate::transport::Repeat::IfUnsent);
        match self.service.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(502) => Ok(false),
            Err(error) => Err(error.during("check", &self.sandbox_id)),
        }
    }
}
