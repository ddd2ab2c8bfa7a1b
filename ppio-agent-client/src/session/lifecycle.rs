//! Pause, resume, refresh and close, each with a call to the platform.

use std::time::Duration;

use tokio::runtime::Handle;

use super::sandbox_session::SandboxSession;
use super::status::SessionStatus;
use crate::error::Error;
use crate::platform::{LogEntry, LogQuery, SandboxInfo, SandboxMetric, SandboxState};
use crate::templates::START_TIMEOUT;
use crate::transport::{Deadline, Idempotency};

/// The time limit of the ping that [`SandboxSession::get_status`] sends.
const STATUS_PING_TIMEOUT: Duration = Duration::from_secs(5);

impl SandboxSession {
    /// Pauses the sandbox and keeps its memory. A paused sandbox stays paused.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] if the
    /// platform fails to pause it.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.pause().await?;
    /// # Ok(()) });
    /// ```
    pub async fn pause(&self) -> Result<(), Error> {
        self.check_open()?;
        let platform = &self.core.client.platform;
        let paused = platform.pause_sandbox(self.sandbox_id()).await;
        self.record_gone(paused.map(drop), "pause")
    }

    /// Resumes the sandbox, resets its timeout, and waits until its agent is healthy. A running
    /// sandbox stays as it is.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] if the
    /// platform fails to resume it, or the agent does not become healthy.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.resume().await?;
    /// # Ok(()) });
    /// ```
    pub async fn resume(&self) -> Result<(), Error> {
        self.check_open()?;
        let (id, timeout) = (self.sandbox_id(), self.timeout());
        let platform = &self.core.client.platform;
        let resumed = platform
            .resume_sandbox(id, timeout, self.core.auto_pause)
            .await;
        if let Some(sandbox) = self.record_gone(resumed, "resume")? {
            self.update_tokens(sandbox.envd_access_token, sandbox.traffic_access_token);
            self.set_expiry(timeout);
            let healthy = self.wait_until_healthy(START_TIMEOUT).await;
            healthy.map_err(|error| error.with_operation("resume", id))?;
        }
        Ok(())
    }

    /// Resets the sandbox's timeout, counted from now. Never shortens the remaining time.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] for any other
    /// failure.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.refresh().await?;
    /// # Ok(()) });
    /// ```
    pub async fn refresh(&self) -> Result<(), Error> {
        self.check_open()?;
        let timeout = self.timeout();
        let platform = &self.core.client.platform;
        let refreshed = platform.refresh_sandbox(self.sandbox_id(), timeout).await;
        self.record_gone(refreshed, "refresh")?;
        self.set_expiry(timeout);
        Ok(())
    }

    /// Calls [`refresh`](Self::refresh) in the background; a failure is logged.
    pub(crate) fn refresh_in_background(&self) {
        let session = self.clone();
        let background = &self.core.client.background;
        background.spawn(&Handle::current(), async move {
            if let Err(error) = session.refresh().await {
                let error = error.report();
                let sandbox_id = session.sandbox_id();
                tracing::debug!(sandbox_id, %error, "cannot refresh a session");
            }
        });
    }

    /// Sets a new timeout, counted from now; later calls of [`refresh`](Self::refresh) and
    /// [`resume`](Self::resume) use it too.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] for any other
    /// failure.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.set_timeout(std::time::Duration::from_secs(3600)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.check_open()?;
        let platform = &self.core.client.platform;
        let set = platform
            .set_sandbox_timeout(self.sandbox_id(), timeout)
            .await;
        self.record_gone(set, "set the timeout of")?;
        self.set_expiry(timeout);
        Ok(())
    }

    /// Returns the current status of the sandbox, from the platform, and of its agent, from a ping.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] if the platform fails to return the sandbox's state.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("{}", session.get_status().await?);
    /// # Ok(()) });
    /// ```
    pub async fn get_status(&self) -> Result<SessionStatus, Error> {
        if self.is_closed() {
            return Ok(SessionStatus::Closed);
        }
        match self.info().await {
            Err(Error::SessionNotFound { .. }) => return Ok(SessionStatus::Closed),
            Err(error) => return Err(error),
            Ok(info) => match info.state {
                SandboxState::Running => {}
                SandboxState::Paused => return Ok(SessionStatus::Paused),
                SandboxState::Other(_) => return Ok(SessionStatus::Inactive),
            },
        }
        let deadline = Deadline::after(STATUS_PING_TIMEOUT);
        Ok(match self.ping_by(deadline, Idempotency::Never).await {
            Ok(_) => SessionStatus::Active,
            // The platform's edge proxy sends 502 if nothing listens on the port; any other status
            // is the agent's.
            Err(Error::Invocation { status, .. }) if status != Some(502) => SessionStatus::Error,
            Err(Error::Protocol { .. }) => SessionStatus::Error,
            Err(_) => SessionStatus::Inactive,
        })
    }

    /// Whether the sandbox is running and its agent is healthy now.
    ///
    /// # Errors
    /// Those of [`get_status`](Self::get_status).
    pub async fn is_active(&self) -> Result<bool, Error> {
        Ok(self.get_status().await? == SessionStatus::Active)
    }

    /// Whether the sandbox is paused now; `false` if it is gone.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] if the platform fails to return the sandbox's state.
    pub async fn is_paused(&self) -> Result<bool, Error> {
        match self.info().await {
            Ok(info) => Ok(info.state == SandboxState::Paused),
            Err(Error::SessionNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the sandbox as the platform describes it now.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] for any other
    /// failure.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("ends at {:?}", session.info().await?.end_at);
    /// # Ok(()) });
    /// ```
    pub async fn info(&self) -> Result<SandboxInfo, Error> {
        self.check_open()?;
        let platform = &self.core.client.platform;
        let info = platform.get_sandbox(self.sandbox_id()).await;
        self.record_gone(info, "look up")
    }

    /// Returns the entries of the sandbox's log that `query` selects.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] for any other
    /// failure.
    ///
    /// ```
    /// # use ppio_agent_client::platform::LogQuery;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// for entry in session.logs(&LogQuery::default()).await? {
    ///     println!("{}", entry.message);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn logs(&self, query: &LogQuery) -> Result<Vec<LogEntry>, Error> {
        let platform = &self.core.client.platform;
        let logs = platform.sandbox_logs(self.sandbox_id(), query).await;
        logs.map_err(|error| error.with_operation("read the log of", self.sandbox_id()))
    }

    /// Returns the resources that the sandbox used between two times, in seconds since the Unix
    /// epoch; `None` is the oldest or newest time that the platform has.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if the sandbox is gone, [`Error::SandboxOperation`] for any other
    /// failure.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// for metric in session.metrics(None, None).await? {
    ///     println!("{} of {} bytes", metric.mem_used, metric.mem_total);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn metrics(
        &self,
        start: Option<i64>,
        end: Option<i64>,
    ) -> Result<Vec<SandboxMetric>, Error> {
        let platform = &self.core.client.platform;
        let metrics = platform
            .sandbox_metrics(self.sandbox_id(), start, end)
            .await;
        metrics.map_err(|error| error.with_operation("read the metrics of", self.sandbox_id()))
    }

    /// Kills the sandbox and the agent in it, and waits for the platform's confirmation. Succeeds
    /// if the sandbox is gone already.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] if the platform fails to kill it; the sandbox then lives until
    /// it expires or `close` succeeds.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.close().await?;
    /// # Ok(()) });
    /// ```
    pub async fn close(&self) -> Result<(), Error> {
        if self.is_closed() {
            return Ok(());
        }
        let id = self.sandbox_id();
        let killed = self.core.client.platform.kill_sandbox(id).await;
        killed.map_err(|error| error.with_operation("close", id))?;
        self.core.mark_closed();
        Ok(())
    }

    /// Marks the session as closed if the platform no longer has its sandbox, and adds the
    /// operation to an error.
    fn record_gone<T>(&self, outcome: Result<T, Error>, operation: &str) -> Result<T, Error> {
        if let Err(Error::SessionNotFound { .. }) = outcome {
            self.core.mark_closed();
        }
        outcome.map_err(|error| error.with_operation(operation, self.sandbox_id()))
    }
}
