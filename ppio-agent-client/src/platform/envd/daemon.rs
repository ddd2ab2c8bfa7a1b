//! The client of one sandbox's daemon.

use http::{HeaderName, HeaderValue, header};
use ppio_agent_protocol::headers;

use crate::config::Secret;
use crate::error::Error;
use crate::platform::call::{Service, ServiceCall};
use crate::platform::endpoints::SandboxAddress;

/// A client of envd, the daemon in a sandbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Envd {
    pub(super) service: Service,
    pub(super) sandbox_id: String,
    pub(super) idle_timeout: std::time::Duration,
    /// The user, which calls about files send in the query.
    pub(super) user: Option<String>,
    /// Whether envd accepts a file as the body; older versions require a form.
    pub(super) raw_uploads: bool,
}

/// The first version of envd that accepts a file as the body.
const RAW_UPLOADS: [u32; 3] = [0, 5, 7];

impl Envd {
    pub(crate) fn new(
        mut service: Service,
        address: &SandboxAddress,
        token: Option<&Secret>,
        idle_timeout: std::time::Duration,
    ) -> Self {
        if let Some(token) = token.and_then(|token| token.header("")) {
            let name = HeaderName::from_static(headers::ACCESS_TOKEN);
            service.headers.insert(name, token);
        }
        if let Some(token) = token {
            service.auth = service.auth.with_token(token);
        }
        Self {
            service,
            sandbox_id: address.sandbox_id.clone(),
            idle_timeout,
            user: None,
            raw_uploads: true,
        }
    }

    /// Sets the daemon's version, which a [`Sandbox`](crate::platform::Sandbox) contains; without
    /// this call, the newest version is assumed.
    /// [`SandboxSession::envd`](crate::SandboxSession::envd) sets the version itself.
    ///
    /// ```
    /// # use ppio_agent_client::platform::{Envd, Sandbox};
    /// fn daemon_of(client: &ppio_agent_client::AgentRuntimeClient, sandbox: &Sandbox) -> Envd {
    ///     let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    ///     envd.with_version(&sandbox.envd_version)
    /// }
    /// ```
    pub fn with_version(mut self, version: &str) -> Self {
        let parts: Option<Vec<u32>> = version
            .trim_start_matches('v')
            .split(['.', '-'])
            .take(3)
            .map(|part| part.parse().ok())
            .collect();
        // A malformed version counts as the newest.
        self.raw_uploads = parts.is_none_or(|parts| parts.as_slice() >= RAW_UPLOADS.as_slice());
        self
    }

    /// Sets the time limit of a call, in place of
    /// [`ClientConfig::timeout`](crate::ClientConfig::timeout); `Duration::MAX` sets no limit. The
    /// events of a process may take longer.
    ///
    /// ```
    /// # use ppio_agent_client::platform::{Command, ProcessEvent, ProcessSelector};
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// // Waits for as long as the process reads nothing.
    /// let patient = envd.with_timeout(std::time::Duration::MAX);
    /// patient.send_stdin(&ProcessSelector::Pid(42), &[0; 100_000]).await?;
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn with_timeout(mut self, timeout: std::time::Duration) -> Self {
        self.service.timeout = timeout;
        self
    }

    /// Sets the user for files and processes, in place of the platform's default user.
    pub fn with_user(mut self, user: &str) -> Self {
        use base64::Engine as _;
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:"));
        if let Ok(value) = HeaderValue::from_str(&format!("Basic {credentials}")) {
            self.service.headers.insert(header::AUTHORIZATION, value);
        }
        self.user = Some(user.to_owned());
        self
    }

    /// Whether the sandbox is running; `false` if the platform's edge proxy responds that it is
    /// not.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// assert!(envd.is_running().await?);
    /// # Ok(()) });
    /// ```
    pub async fn is_running(&self) -> Result<bool, Error> {
        // 502 is the result here, so it is not retried.
        let call = ServiceCall::get("check sandbox", "/health")
            .idempotency(crate::transport::Idempotency::IfUnsent);
        match self.service.send(call).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(502) => Ok(false),
            Err(error) => Err(error.with_operation("check", &self.sandbox_id)),
        }
    }
}
