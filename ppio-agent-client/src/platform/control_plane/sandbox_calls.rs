//! Calls of the control plane for sandboxes.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ppio_agent_protocol::headers;
use serde_json::json;

use super::client::ControlPlane;
use super::pages::{PageLimit, next_token};
use super::sandbox::{NewSandbox, Sandbox, SandboxInfo, SandboxState, seconds};
use crate::core::random;
use crate::error::Error;
use crate::platform::call::{ServiceCall, encode};
use crate::platform::error_response::Subject;
use crate::platform::identifiers;
use crate::transport::{Deadline, Idempotency};

/// Selects sandboxes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SandboxFilter {
    /// The states of the sandboxes; empty: running and paused.
    pub states: Vec<SandboxState>,
    /// Entries that the metadata of a sandbox must all contain.
    pub metadata: BTreeMap<String, String>,
    /// The size of a page; `None`: the platform's default. All pages are read.
    pub page_size: Option<u32>,
}

/// Returns the path of a call about one sandbox.
pub(super) fn path(sandbox_id: &str, rest: &str) -> Result<String, Error> {
    let id = identifiers::sandbox_id(sandbox_id)?;
    Ok(format!("/sandboxes/{id}{rest}"))
}

fn about(sandbox_id: &str) -> Subject {
    Subject::Sandbox(sandbox_id.to_owned())
}

/// Returns the metadata as `k=v&k=v` with each key and value encoded; the query encodes this text
/// again.
fn metadata_query(metadata: &BTreeMap<String, String>) -> Option<String> {
    let pairs = metadata
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)));
    let text = pairs.collect::<Vec<_>>().join("&");
    (!text.is_empty()).then_some(text)
}

impl ControlPlane {
    /// Checks the id and domain of a sandbox in a response.
    fn check_sandbox(&self, operation: &str, sandbox: Sandbox) -> Result<Sandbox, Error> {
        let checked = sandbox.checked(operation, self.legacy);
        checked.map_err(|error| self.service.auth.redact_error(error))
    }

    /// Checks the id and domain of a sandbox with its state.
    fn check_info(&self, operation: &str, info: SandboxInfo) -> Result<SandboxInfo, Error> {
        let checked = info.checked(operation, self.legacy);
        checked.map_err(|error| self.service.auth.redact_error(error))
    }

    /// Creates a sandbox. The call is retried if the platform rejected it. After a broken
    /// connection, when the sandbox may exist, the call is retried only if an earlier response
    /// announced that the platform honours idempotency keys.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ppio_agent_client::platform::NewSandbox;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let new = NewSandbox::new("base", Duration::from_secs(60));
    /// let sandbox = platform.create_sandbox(&new).await?;
    /// # Ok(()) });
    /// ```
    pub async fn create_sandbox(&self, sandbox: &NewSandbox) -> Result<Sandbox, Error> {
        let key = random::hex();
        self.create_sandbox_once(sandbox, &key).await
    }

    /// Creates a sandbox; all calls with one idempotency key create one sandbox, if the platform
    /// honours idempotency keys.
    pub(crate) async fn create_sandbox_once(
        &self,
        sandbox: &NewSandbox,
        key: &str,
    ) -> Result<Sandbox, Error> {
        let key = HeaderValue::try_from(key)
            .map_err(|error| Error::validation("idempotency key", error.to_string()))?;
        let call = ServiceCall::post("create sandbox", "/sandboxes")
            .json(sandbox)
            .header(HeaderName::from_static(headers::IDEMPOTENCY_KEY), key)
            .about(Subject::Template(sandbox.template_id.clone()))
            .idempotency(Idempotency::Keyed);
        let sandbox: Sandbox = self.service.fetch(call).await?;
        self.check_sandbox("create sandbox", sandbox)
    }

    /// Whether a response of the platform has announced that it honours idempotency keys.
    pub(crate) fn honours_keys(&self) -> bool {
        self.service.key_support.is_known()
    }

    /// Returns a sandbox and its current state.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// println!("{:?}", platform.get_sandbox("sb_1").await?.state);
    /// # Ok(()) });
    /// ```
    pub async fn get_sandbox(&self, sandbox_id: &str) -> Result<SandboxInfo, Error> {
        let call = ServiceCall::get("get sandbox", path(sandbox_id, "")?).about(about(sandbox_id));
        let info: SandboxInfo = self.service.fetch(call).await?;
        self.check_info("get sandbox", info)
    }

    /// Lists the sandboxes that match `filter`, from all pages.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # use ppio_agent_client::platform::SandboxFilter;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let all = platform.list_sandboxes(&SandboxFilter::default()).await?;
    /// # Ok(()) });
    /// ```
    pub async fn list_sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxInfo>, Error> {
        let defaults = [SandboxState::Running, SandboxState::Paused];
        let states = if filter.states.is_empty() {
            &defaults[..]
        } else {
            &filter.states
        };
        let states: Vec<_> = states.iter().map(SandboxState::as_str).collect();
        let deadline = Deadline::after(self.service.timeout);
        let mut pages = PageLimit::default();
        let mut all = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let call = ServiceCall::get("list sandboxes", "/v2/sandboxes")
                .query("state", states.join(","))
                .query_if("metadata", metadata_query(&filter.metadata))
                .query_if("limit", filter.page_size)
                .query_if("nextToken", token.as_ref());
            let response = self.service.send_by(call, deadline).await?;
            pages.add("list sandboxes", &response)?;
            let next = next_token(&response);
            let page: Vec<SandboxInfo> = self.service.read("list sandboxes", &response)?;
            // With a repeated page token, the list would never end.
            let is_last = next.is_none() || next == token;
            for info in page {
                all.push(self.check_info("list sandboxes", info)?);
            }
            if is_last {
                return Ok(all);
            }
            token = next;
        }
    }

    /// Lists the running sandboxes with this metadata, with the call that older platforms support.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let running = platform.list_running_sandboxes(&Default::default()).await?;
    /// # Ok(()) });
    /// ```
    pub async fn list_running_sandboxes(
        &self,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<SandboxInfo>, Error> {
        let call = ServiceCall::get("list sandboxes", "/sandboxes")
            .query_if("metadata", metadata_query(metadata));
        let page: Vec<SandboxInfo> = self.service.fetch(call).await?;
        let checked = page
            .into_iter()
            .map(|info| self.check_info("list sandboxes", info));
        checked.collect()
    }

    /// Kills a sandbox. Returns `false` if it was gone already.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let was_there = platform.kill_sandbox("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub async fn kill_sandbox(&self, sandbox_id: &str) -> Result<bool, Error> {
        let call = ServiceCall::delete("kill sandbox", path(sandbox_id, "")?)
            .about(about(sandbox_id))
            .without_queue();
        match self.service.send(call).await {
            Ok(_) => Ok(true),
            Err(Error::SessionNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets the timeout of a sandbox, counted from now.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.set_sandbox_timeout("sb_1", std::time::Duration::from_secs(600)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn set_sandbox_timeout(
        &self,
        sandbox_id: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let call = ServiceCall::post("set sandbox timeout", path(sandbox_id, "/timeout")?)
            .json(&json!({ "timeout": seconds(timeout) }))
            .about(about(sandbox_id))
            .idempotency(Idempotency::Safe);
        self.service.send(call).await.map(drop)
    }

    /// Extends the timeout of a sandbox, counted from now; never shortens it.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.refresh_sandbox("sb_1", std::time::Duration::from_secs(600)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn refresh_sandbox(&self, sandbox_id: &str, duration: Duration) -> Result<(), Error> {
        let call = ServiceCall::post("refresh sandbox", path(sandbox_id, "/refreshes")?)
            .json(&json!({ "duration": seconds(duration) }))
            .about(about(sandbox_id))
            .idempotency(Idempotency::Safe);
        self.service.send(call).await.map(drop)
    }

    /// Pauses a sandbox. Returns `false` if it was paused already.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.pause_sandbox("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub async fn pause_sandbox(&self, sandbox_id: &str) -> Result<bool, Error> {
        // Repeating the call is safe: the platform responds with 409 if the sandbox is paused.
        let call = ServiceCall::post("pause sandbox", path(sandbox_id, "/pause")?)
            .about(about(sandbox_id))
            .idempotency(Idempotency::Safe);
        unless_conflict(self.service.send(call).await.map(drop)).map(|done| done.is_some())
    }

    /// Resumes a paused sandbox with this timeout. `auto_pause` sets whether the sandbox is paused
    /// instead of killed when it expires. Returns `None` if the sandbox was running already.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.resume_sandbox("sb_1", std::time::Duration::from_secs(600), false).await?;
    /// # Ok(()) });
    /// ```
    pub async fn resume_sandbox(
        &self,
        sandbox_id: &str,
        timeout: Duration,
        auto_pause: bool,
    ) -> Result<Option<Sandbox>, Error> {
        let call = ServiceCall::post("resume sandbox", path(sandbox_id, "/resume")?)
            .json(&json!({ "timeout": seconds(timeout), "autoPause": auto_pause }))
            .about(about(sandbox_id))
            .idempotency(Idempotency::Safe);
        let resumed = self.service.fetch::<Sandbox>(call).await;
        unless_conflict(resumed)?
            .map(|sandbox| self.check_sandbox("resume sandbox", sandbox))
            .transpose()
    }

    /// Connects to a sandbox: resumes it if it is paused, extends its timeout to at least
    /// `timeout`, and returns its tokens.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// let sandbox = platform.connect_sandbox("sb_1", std::time::Duration::from_secs(60)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn connect_sandbox(
        &self,
        sandbox_id: &str,
        timeout: Duration,
    ) -> Result<Sandbox, Error> {
        let call = ServiceCall::post("connect sandbox", path(sandbox_id, "/connect")?)
            .json(&json!({ "timeout": seconds(timeout) }))
            .about(about(sandbox_id))
            .idempotency(Idempotency::Safe);
        let sandbox: Sandbox = self.service.fetch(call).await?;
        self.check_sandbox("connect sandbox", sandbox)
    }
}

/// Returns `None` for status 409: the sandbox is in the requested state already.
fn unless_conflict<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.status() == Some(409) => Ok(None),
        Err(error) => Err(error),
    }
}
