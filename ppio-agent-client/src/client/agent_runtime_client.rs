//! The client for deployed agents.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::invoke_agent_runtime::InvokeAgentRuntime;
use super::runtime_sessions::RuntimeSessions;
use crate::config::{AuthManager, Secret};
use crate::core::ClientCore;
use crate::error::Error;
use crate::invocation::{InvocationStream, Invoke};
use crate::platform::{ControlPlane, Envd, SandboxAddress, SandboxFilter};
use crate::session::{CreateSession, SandboxSession, Sessions};
use crate::templates::{AgentTemplate, ListTemplates, TemplateManager};

/// A client for deployed agents. Cheap to clone; clones share connections and sessions.
///
/// When the last handle of a session that this client created is dropped, the sandbox of the
/// session is killed in the background. The client itself holds the sessions of
/// [`invoke_agent_runtime`](Self::invoke_agent_runtime), until its last clone is dropped.
/// Background tasks end with the runtime: a program that ends without [`close`](Self::close) leaves
/// sandboxes behind, which live until they expire. [`scope`](Self::scope) closes the client on
/// every path.
///
/// ```no_run
/// use ppio_agent_client::AgentRuntimeClient;
/// use serde_json::json;
///
/// # async fn run() -> Result<(), ppio_agent_client::Error> {
/// let client = AgentRuntimeClient::from_env()?;
/// let response = client.invoke_agent("tmpl_1", json!({"prompt": "hi"})).await?;
/// println!("{:?}", response.result);
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AgentRuntimeClient {
    sessions: Sessions,
    runtime_sessions: Arc<RuntimeSessions>,
}

impl AgentRuntimeClient {
    pub(super) fn new(core: ClientCore) -> Self {
        Self {
            sessions: Sessions::new(Arc::new(core)),
            runtime_sessions: Arc::default(),
        }
    }

    fn core(&self) -> &ClientCore {
        self.sessions.core()
    }

    pub(super) fn shared_core(&self) -> Arc<ClientCore> {
        Arc::clone(self.sessions.core())
    }

    /// Creates a sandbox from a template and waits until its agent is healthy. Set options on the
    /// returned value, then await it.
    ///
    /// Dropping the future at any point leaves no sandbox behind: a sandbox that is being created
    /// is killed as soon as it exists.
    ///
    /// # Errors
    /// [`Error::SandboxCreation`], whose [`root`](Error::root) is the cause:
    /// [`Error::TemplateNotFound`], [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::QuotaExceeded`], [`Error::Network`], …; [`Error::Validation`] for an invalid
    /// option.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # ppio_test_support::client_example!(async |client| {
    /// let session = client
    ///     .create_session("tmpl_1")
    ///     .timeout(Duration::from_secs(1800))
    ///     .env("MODEL", "large")
    ///     .await?;
    /// # Ok(()) });
    /// ```
    pub fn create_session(&self, template_id: impl Into<String>) -> CreateSession {
        CreateSession::new(self.sessions.clone(), template_id.into())
    }

    /// Returns the session with this id, whichever client created it, or `None` if the platform has
    /// no such sandbox.
    ///
    /// A session that another client created is not closed when its handle is dropped, only by
    /// [`close`](SandboxSession::close).
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// if let Some(session) = client.get_session("sb_1").await? {
    ///     println!("{:?}", session.get_status().await?);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn get_session(&self, sandbox_id: &str) -> Result<Option<SandboxSession>, Error> {
        match self.core().platform.get_sandbox(sandbox_id).await {
            Ok(info) => Ok(Some(self.sessions.attach(info))),
            Err(Error::SessionNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists all sessions of the account, running and paused, whichever client created them.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// for session in client.list_sessions().await? {
    ///     println!("{}", session.sandbox_id());
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_sessions(&self) -> Result<Vec<SandboxSession>, Error> {
        let filter = SandboxFilter::default();
        let sandboxes = self.core().platform.list_sandboxes(&filter).await?;
        let sessions = sandboxes.into_iter().map(|info| self.sessions.attach(info));
        Ok(sessions.collect())
    }

    /// Closes the session with this id, whichever client created it.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the platform has no such sandbox, and any other error of a
    /// call to the platform.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// client.close_session("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub async fn close_session(&self, sandbox_id: &str) -> Result<(), Error> {
        let existed = self.core().platform.kill_sandbox(sandbox_id).await?;
        self.sessions.remove(sandbox_id);
        if existed {
            return Ok(());
        }
        Err(Error::SessionNotFound {
            sandbox_id: sandbox_id.to_owned(),
            status: Some(404),
        })
    }

    /// Closes every open session that this client created and did not detach, concurrently.
    ///
    /// # Errors
    /// The first error of closing a session ([`Error::SandboxOperation`]); the other sessions are
    /// closed nevertheless.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// client.close_all_sessions().await?;
    /// # Ok(()) });
    /// ```
    pub async fn close_all_sessions(&self) -> Result<(), Error> {
        self.runtime_sessions.clear();
        self.sessions.close_all().await
    }

    /// Calls [`close_all_sessions`](Self::close_all_sessions), then waits for the background tasks.
    /// Call this before the process exits, even after an error, or use [`scope`](Self::scope).
    ///
    /// # Errors
    /// The error of [`close_all_sessions`](Self::close_all_sessions).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// client.close().await?;
    /// # Ok(()) });
    /// ```
    pub async fn close(&self) -> Result<(), Error> {
        let outcome = self.close_all_sessions().await;
        self.core().background.finish().await;
        outcome
    }

    /// Lists the agent templates. Set tags and a name on the returned value, then await it.
    ///
    /// # Errors
    /// When awaited, any error of a call to the platform: [`Error::Authentication`],
    /// [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let agents = client.list_templates().tags(["data-analysis", "ai"]).await?;
    /// # Ok(()) });
    /// ```
    pub fn list_templates(&self) -> ListTemplates {
        self.core().templates.list_templates()
    }

    /// Returns the template with this id, alias or name.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if there is no such template, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// println!("{}", client.get_template("tmpl_1").await?.name);
    /// # Ok(()) });
    /// ```
    pub async fn get_template(&self, template_id: &str) -> Result<AgentTemplate, Error> {
        self.core().templates.get_template(template_id).await
    }

    /// Invokes an agent once, in a new session that is closed afterwards or, with
    /// [`session`](Invoke::session), in an existing one. See [`SandboxSession::invoke`] for
    /// `request` and for the ways to read the response; the session of a stream is closed when the
    /// stream is dropped.
    ///
    /// # Errors
    /// When awaited, those of [`create_session`](Self::create_session) and of
    /// [`SandboxSession::invoke`].
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let response = client.invoke_agent("tmpl_1", "what is the time?").await?;
    /// println!("{:?} in {} s", response.result, response.duration);
    ///
    /// let mut story = client.invoke_agent("tmpl_1", "tell me a story").stream().await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent(&self, template_id: impl Into<String>, request: impl Serialize) -> Invoke {
        let create = self.create_session(template_id);
        Invoke::in_new_session(self.sessions.clone(), create, &request)
    }

    /// Shorthand for [`invoke_agent`](Self::invoke_agent) and [`stream`](Invoke::stream), without
    /// options.
    ///
    /// # Errors
    /// Those of [`stream`](Invoke::stream).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let mut story = client.invoke_agent_stream("tmpl_1", "tell me a story").await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn invoke_agent_stream(
        &self,
        template_id: impl Into<String>,
        request: impl Serialize,
    ) -> Result<InvocationStream, Error> {
        self.invoke_agent(template_id, request).stream().await
    }

    /// Invokes an agent as Amazon Bedrock `AgentCore` does: by agent id or ARN, with bytes, in a
    /// session whose id the caller chooses.
    ///
    /// Each session id of an agent has one sandbox, which is created by the first call, refreshed
    /// by a later call when less than half of its timeout remains, and replaced once it is gone. A
    /// payload that is a JSON object is sent as it is, a blank payload as an empty object, and any
    /// other text as the prompt.
    ///
    /// # Errors
    /// When awaited, [`Error::Validation`] if the agent id is malformed or the payload is not UTF-8
    /// text, [`Error::SandboxOperation`] if the sandbox of an earlier call cannot be resumed or
    /// refreshed, and those of [`create_session`](Self::create_session) and of
    /// [`SandboxSession::invoke`].
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let response = client
    ///     .invoke_agent_runtime("my_agent-tmpl1", r#"{"prompt": "hi"}"#)
    ///     .runtime_session_id("user-42")
    ///     .await?;
    /// println!("{}", response.runtime_session_id);
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent_runtime(
        &self,
        agent_id: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> InvokeAgentRuntime {
        InvokeAgentRuntime::new(
            self.sessions.clone(),
            Arc::clone(&self.runtime_sessions),
            agent_id.into(),
            payload.into(),
        )
    }

    /// The manager of the agent templates.
    pub fn templates(&self) -> &TemplateManager {
        &self.core().templates
    }

    /// The manager of the API key.
    pub fn auth(&self) -> &AuthManager {
        &self.core().auth
    }

    /// The control plane, for calls that sessions do not cover.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// client.platform().delete_template("tmpl_1").await?;
    /// # Ok(()) });
    /// ```
    pub fn platform(&self) -> &ControlPlane {
        &self.core().platform
    }

    /// Returns a client of the daemon in a sandbox that was created through
    /// [`platform`](Self::platform). For the sandbox of a session, use [`SandboxSession::envd`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ppio_agent_client::platform::NewSandbox;
    /// # ppio_test_support::client_example!(async |client| {
    /// let new = NewSandbox::new("base", Duration::from_secs(60));
    /// let sandbox = client.platform().create_sandbox(&new).await?;
    /// let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    /// # Ok(()) });
    /// ```
    pub fn envd(&self, address: &SandboxAddress, access_token: Option<&Secret>) -> Envd {
        self.core().envd(address, access_token)
    }
}
