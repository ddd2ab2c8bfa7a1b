//! A session that is closed when the work with it ends.

use std::panic::resume_unwind;
use std::sync::Arc;

use super::create_session::CreateSession;
use super::sandbox_session::SandboxSession;
use crate::core::run_then_close;
use crate::error::Error;

impl CreateSession {
    /// Creates the session, runs `body` with it, and closes the session when `body` returns or
    /// panics.
    ///
    /// The session is closed even if other handles of it exist, unless it was
    /// [detached](SandboxSession::detach). If this future is dropped, the session is closed in the
    /// background.
    ///
    /// # Errors
    /// The error of creating the session or of `body`; if `body` succeeds, the error of closing the
    /// session.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ppio_agent_client::Error;
    /// # ppio_test_support::client_example!(async |client| {
    /// let create = client.create_session("tmpl_1").timeout(Duration::from_secs(1800));
    /// let answer = create
    ///     .scope(async |session| {
    ///         session.invoke("remember 42").await?;
    ///         session.invoke("what do you remember?").await
    ///     })
    ///     .await?;
    /// # Ok(()) });
    /// ```
    pub async fn scope<T, E: From<Error>>(
        self,
        body: impl AsyncFnOnce(SandboxSession) -> Result<T, E>,
    ) -> Result<T, E> {
        let session = self.await?;
        let core = Arc::clone(&session.core.client);
        let closing = session.clone();
        let close = async move {
            if closing.core.is_owned() {
                closing.close().await
            } else {
                Ok(())
            }
        };
        let outcome = run_then_close(core, body(session), close).await;
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}
