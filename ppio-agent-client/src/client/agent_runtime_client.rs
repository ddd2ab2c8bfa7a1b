//! The client: makes sessions, finds them again, and calls agents.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::ClientBuilder;
use super::invoke_agent_runtime::InvokeAgentRuntime;
use super::runtime_sessions::RuntimeSessions;
use crate::config::AuthManager;
use crate::config::Secret;
use crate::core::ClientCore;
use crate::error::Error;
use crate::invocation::{Auto, Envelope, Invoke, Streamed, Typed};
use crate::platform::{ControlPlane, Envd, SandboxAddress, SandboxFilter};
use crate::session::{CreateSession, SandboxSession};
use crate::templates::{AgentTemplate, TemplateFilter, TemplateManager};

/// Calls deployed agents. Cheap to clone; clones share connections and sessions.
///
/// A session belongs to whoever holds it: when the last handle of a session that this client made
/// is dropped, its sandbox is ended in the background. Sessions that
/// [`invoke_agent_runtime`](Self::invoke_agent_runtime) keeps belong to the client, and end with
/// its last clone. A process that is about to exit has no background left, so call
/// [`close`](Self::close) before.
///
/// ```no_run
/// use ppio_agent_client::AgentRuntimeClient;
/// use serde_json::json;
///
/// # async fn run() -> Result<(), ppio_agent_client::Error> {
/// let client = AgentRuntimeClient::from_env()?;
/// let answer = client.invoke_agent("tmpl_1", json!({"prompt": "hi"})).await?;
/// println!("{:?}", answer.result);
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AgentRuntimeClient {
    pub(super) core: Arc<ClientCore>,
    pub(super) runtime_sessions: Arc<RuntimeSessions>,
}

impl AgentRuntimeClient {
    /// A client with the key and the addresses of the environment.
    ///
    /// # Errors
    /// [`Error::Authentication`] without `PPIO_API_KEY` (or `E2B_API_KEY`), or with a key of another
    /// vendor than the address; [`Error::Validation`] for a variable that makes no sense.
    ///
    /// ```no_run
    /// let client = ppio_agent_client::AgentRuntimeClient::from_env()?;
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A client made to measure; what is not given comes from the environment.
    ///
    /// ```
    /// use std::time::Duration;
    /// use ppio_agent_client::AgentRuntimeClient;
    ///
    /// let client = AgentRuntimeClient::builder()
    ///     .api_key("ppio_live_123")
    ///     .timeout(Duration::from_secs(60))
    ///     .build()?;
    /// # Ok::<(), ppio_agent_client::Error>(())
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn new(core: ClientCore) -> Self {
        Self {
            core: Arc::new(core),
            runtime_sessions: Arc::default(),
        }
    }

    /// Makes a sandbox from a template and waits until its agent is healthy. Await it, or set
    /// options first.
    ///
    /// Dropping the future at any point leaves nothing behind: a sandbox that was being made is
    /// ended as soon as it exists.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`], [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::QuotaExceeded`], and [`Error::SandboxCreation`] for everything else.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # integration_tests::example(async |client| {
    /// let session = client
    ///     .create_session("tmpl_1")
    ///     .timeout(Duration::from_secs(1800))
    ///     .env("MODEL", "large")
    ///     .await?;
    /// # Ok(()) });
    /// ```
    pub fn create_session(&self, template_id: impl Into<String>) -> CreateSession {
        CreateSession::new(Arc::clone(&self.core), template_id.into())
    }

    /// The session with this id, whoever made it; `None` if the platform does not know it.
    ///
    /// A session that this client did not make is not ended when its handle is dropped, only by
    /// [`close`](SandboxSession::close).
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// if let Some(session) = client.get_session("sb_1").await? {
    ///     println!("{:?}", session.get_status().await?);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn get_session(&self, sandbox_id: &str) -> Result<Option<SandboxSession>, Error> {
        match self.core.platform.get_sandbox(sandbox_id).await {
            Ok(info) => Ok(Some(SandboxSession::attach(&self.core, info))),
            Err(Error::SessionNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All sessions of the account, running and paused, whoever made them.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// for session in client.list_sessions().await? {
    ///     println!("{}", session.sandbox_id());
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_sessions(&self) -> Result<Vec<SandboxSession>, Error> {
        let all = self
            .core
            .platform
            .list_sandboxes(&SandboxFilter::default())
            .await?;
        let sessions = all
            .into_iter()
            .map(|info| SandboxSession::attach(&self.core, info));
        Ok(sessions.collect())
    }

    /// Ends the session with this id, whoever made it.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the platform does not know it.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// client.close_session("sb_1").await?;
    /// # Ok(()) });
    /// ```
    pub async fn close_session(&self, sandbox_id: &str) -> Result<(), Error> {
        let was_there = self.core.platform.kill_sandbox(sandbox_id).await?;
        self.core.sessions.forget(sandbox_id);
        if was_there {
            Ok(())
        } else {
            Err(Error::SessionNotFound {
                sandbox_id: sandbox_id.to_owned(),
            })
        }
    }

    /// Ends every session that this client made and that is still open, all at once, and tells the
    /// first failure.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// client.close_all_sessions().await?;
    /// # Ok(()) });
    /// ```
    pub async fn close_all_sessions(&self) -> Result<(), Error> {
        self.runtime_sessions.clear();
        self.core.close_all_sessions().await
    }

    /// [`close_all_sessions`](Self::close_all_sessions), and waits for what still goes on in the
    /// background. To be called before the process ends.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// client.close().await?;
    /// # Ok(()) });
    /// ```
    pub async fn close(&self) -> Result<(), Error> {
        let outcome = self.close_all_sessions().await;
        self.core.background.finish().await;
        outcome
    }

    /// The agent templates that the filter lets through.
    ///
    /// ```
    /// # use ppio_agent_client::TemplateFilter;
    /// # integration_tests::example(async |client| {
    /// let agents = client.list_templates(&TemplateFilter::new().tag("ai")).await?;
    /// # Ok(()) });
    /// ```
    pub async fn list_templates(
        &self,
        filter: &TemplateFilter,
    ) -> Result<Vec<AgentTemplate>, Error> {
        self.core.templates.list_templates(filter).await
    }

    /// The template with this id, alias or name.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// println!("{}", client.get_template("tmpl_1").await?.name);
    /// # Ok(()) });
    /// ```
    pub async fn get_template(&self, template_id: &str) -> Result<AgentTemplate, Error> {
        self.core.templates.get_template(template_id).await
    }

    /// Asks an agent once, in a session of its own that is ended afterwards; or in an existing one,
    /// with [`session`](Invoke::session). `request` is anything that serializes: text becomes
    /// `{"prompt": text}`, everything else goes as it is.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let answer = client.invoke_agent("tmpl_1", "what is the time?").await?;
    /// println!("{:?} in {} s", answer.result, answer.duration);
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent<R: Serialize>(
        &self,
        template_id: impl Into<String>,
        request: R,
    ) -> Invoke<Envelope> {
        Invoke::in_new_session(self.create_session(template_id), &request)
    }

    /// [`invoke_agent`](Self::invoke_agent), with the answer item by item. The session ends with
    /// the stream.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let mut story = client.invoke_agent_stream("tmpl_1", "tell me a story").await?;
    /// while let Some(item) = story.next().await {
    ///     println!("{}", item?);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent_stream<R: Serialize>(
        &self,
        template_id: impl Into<String>,
        request: R,
    ) -> Invoke<Streamed> {
        Invoke::in_new_session(self.create_session(template_id), &request)
    }

    /// [`invoke_agent`](Self::invoke_agent), with the agent's result read as the caller's own type.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// #[derive(serde::Deserialize)]
    /// struct Reply {
    ///     prompt: String,
    /// }
    /// let reply = client.invoke_agent_as::<Reply>("tmpl_1", "what is the time?").await?;
    /// println!("{}", reply.prompt);
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent_as<T: DeserializeOwned + Send + 'static>(
        &self,
        template_id: impl Into<String>,
        request: impl Serialize,
    ) -> Invoke<Typed<T>> {
        Invoke::in_new_session(self.create_session(template_id), &request)
    }

    /// [`invoke_agent`](Self::invoke_agent), and let the agent decide: a value or a stream. The
    /// session ends with the stream.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// use ppio_agent_client::Answer;
    ///
    /// match client.invoke_agent_auto("tmpl_1", "hello").await? {
    ///     Answer::Value(answer) => println!("{:?}", answer.result),
    ///     Answer::Stream(mut items) => while let Some(item) = items.next().await {
    ///         println!("{}", item?);
    ///     },
    /// }
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent_auto<R: Serialize>(
        &self,
        template_id: impl Into<String>,
        request: R,
    ) -> Invoke<Auto> {
        Invoke::in_new_session(self.create_session(template_id), &request)
    }

    /// Asks an agent the way Amazon Bedrock `AgentCore` is asked: by agent id or ARN, with bytes, in
    /// a session whose id the caller chooses. Each such id has one sandbox, which is prolonged while it
    /// is asked and replaced once it has expired. Bytes that are a JSON object go as they are, any other text is a prompt.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// let answer = client
    ///     .invoke_agent_runtime("my_agent-tmpl1", r#"{"prompt": "hi"}"#)
    ///     .runtime_session_id("user-42")
    ///     .await?;
    /// println!("{}", answer.runtime_session_id);
    /// # Ok(()) });
    /// ```
    pub fn invoke_agent_runtime(
        &self,
        agent_id: impl Into<String>,
        payload: impl Into<Bytes>,
    ) -> InvokeAgentRuntime {
        InvokeAgentRuntime::new(self.clone(), agent_id.into(), payload.into())
    }

    /// The templates.
    ///
    /// ```
    /// fn templates(client: &ppio_agent_client::AgentRuntimeClient) -> &ppio_agent_client::TemplateManager {
    ///     client.templates()
    /// }
    /// ```
    pub fn templates(&self) -> &TemplateManager {
        &self.core.templates
    }

    /// The key.
    ///
    /// ```
    /// fn auth(client: &ppio_agent_client::AgentRuntimeClient) -> &ppio_agent_client::AuthManager {
    ///     client.auth()
    /// }
    /// ```
    pub fn auth(&self) -> &AuthManager {
        &self.core.auth
    }

    /// The control plane, for what sessions do not cover.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// client.platform().delete_template("tmpl_1").await?;
    /// # Ok(()) });
    /// ```
    pub fn platform(&self) -> &ControlPlane {
        &self.core.platform
    }

    /// The daemon in a sandbox that was made through [`platform`](Self::platform); sessions have
    /// [`envd`](SandboxSession::envd).
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let sandbox = client.platform().create_sandbox(&ppio_agent_client::platform::NewSandbox::new("base", std::time::Duration::from_secs(60))).await?;
    /// let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    /// # Ok(()) });
    /// ```
    pub fn envd(&self, address: &SandboxAddress, access_token: Option<&Secret>) -> Envd {
        self.core.envd(address, access_token)
    }
}
