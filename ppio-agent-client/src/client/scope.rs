//! Clients and sessions that are closed when the work with them ends.

use std::panic::resume_unwind;

use super::agent_runtime_client::AgentRuntimeClient;
use super::builder::ClientBuilder;
use crate::core::run_then_close;
use crate::error::Error;
use crate::session::SandboxSession;

impl AgentRuntimeClient {
    /// Runs `body` with a client that is configured from the environment
    /// ([`from_env`](Self::from_env)), and closes the client when `body` returns or panics: every
    /// session that the client created and did not detach is closed, and the client's background
    /// tasks have ended.
    /// [`ClientBuilder::scope`] does the same with the settings of a builder.
    ///
    /// If this future is dropped, the sessions are closed in the background, which needs a runtime
    /// that is still running.
    ///
    /// # Errors
    /// The error of [`from_env`](Self::from_env) or of `body`; if `body` succeeds, the error of
    /// [`close`](Self::close).
    ///
    /// ```no_run
    /// use ppio_agent_client::{AgentRuntimeClient, Error};
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), Error> {
    ///     AgentRuntimeClient::scope(async |client| {
    ///         let session = client.create_session("tmpl_1").await?;
    ///         // `?` leaves no sandbox.
    ///         println!("{:?}", session.invoke("hi").await?.result);
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    pub async fn scope<T, E: From<Error>>(
        body: impl AsyncFnOnce(Self) -> Result<T, E>,
    ) -> Result<T, E> {
        Self::builder().scope(body).await
    }

    /// Runs `body` with a new session, which is closed when `body` returns or panics; see
    /// [`CreateSession::scope`](crate::CreateSession::scope).
    ///
    /// # Errors
    /// Those of [`CreateSession::scope`](crate::CreateSession::scope).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let answer = client
    ///     .with_session("tmpl_1", async |session| {
    ///         session.invoke("remember 42").await?;
    ///         session.invoke("what do you remember?").await
    ///     })
    ///     .await?;
    /// # Ok(()) });
    /// ```
    pub async fn with_session<T, E: From<Error>>(
        &self,
        template_id: impl Into<String>,
        body: impl AsyncFnOnce(SandboxSession) -> Result<T, E>,
    ) -> Result<T, E> {
        self.create_session(template_id).scope(body).await
    }
}

impl ClientBuilder {
    /// Builds the client, runs `body` with it, and closes the client when `body` returns or panics;
    /// see [`AgentRuntimeClient::scope`].
    ///
    /// # Errors
    /// The error of [`build`](Self::build) or of `body`; if `body` succeeds, the error of
    /// [`AgentRuntimeClient::close`].
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), ppio_agent_client::Error> {
    /// use ppio_agent_client::AgentRuntimeClient;
    ///
    /// let builder = AgentRuntimeClient::builder().api_key("ppio_live_123");
    /// let response = builder
    ///     .scope(async |client| client.invoke_agent("tmpl_1", "hi").await)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn scope<T, E: From<Error>>(
        self,
        body: impl AsyncFnOnce(AgentRuntimeClient) -> Result<T, E>,
    ) -> Result<T, E> {
        let client = self.build()?;
        let core = client.shared_core();
        let closing = client.clone();
        let close = async move { closing.close_all_sessions().await };
        let outcome = run_then_close(core.clone(), body(client), close).await;
        core.background.finish().await;
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}
