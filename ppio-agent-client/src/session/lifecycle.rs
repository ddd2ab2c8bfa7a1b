//! Pause, resume, refresh, close: asked of the platform, never assumed.

use std::time::Duration;

use super::sandbox_session::SandboxSession;
use super::status::SessionStatus;
use crate::error::Error;
use crate::platform::{LogEntry, LogQuery, SandboxInfo, SandboxMetric, SandboxState};
use crate::templates::START_TIMEOUT;
use crate::transport::{Deadline, Idempotency};

/// How long an agent may take to say how it is, when only its status is asked.
const STATUS_PING: Duration = Duration::from_secs(5);

impl SandboxSession {
    /// Freezes the sandbox with its memory. A paused one stays paused.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it is gone, [`Error::SandboxOperation`] if the platform
    /// cannot.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.pause().await?;
    /// # Ok(()) });
    /// ```
    pub async fn pause(&self) -> Result<(), Error> {
        self.open()?;
        let paused = self
            .core
            .client
            .platform
            .pause_sandbox(self.sandbox_id())
            .await;
        self.record_gone(paused.map(drop), "pause")
    }

    /// Thaws the sandbox, gives it its own timeout again, and waits until its agent answers. A
    /// running one stays as it is.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it is gone, [`Error::SandboxOperation`] if the platform
    /// cannot, or the agent does not come back.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.resume().await?;
    /// # Ok(()) });
    /// ```
    pub async fn resume(&self) -> Result<(), Error> {
        self.open()?;
        let (id, timeout) = (self.sandbox_id(), self.timeout());
        let platform = &self.core.client.platform;
        let resumed = platform
            .resume_sandbox(id, timeout, self.core.auto_pause)
            .await;
        if let Some(sandbox) = self.record_gone(resumed, "resume")? {
            self.keep_tokens(sandbox.envd_access_token, sandbox.traffic_access_token);
            self.set_expiry(timeout);
            let ready = self.until_healthy_within(START_TIMEOUT).await;
            ready.map_err(|error| error.with_operation("resume", id))?;
        }
        Ok(())
    }

    /// Gives the sandbox its whole timeout again, from now on. Never shortens what it has.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it is gone.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.refresh().await?;
    /// # Ok(()) });
    /// ```
    pub async fn refresh(&self) -> Result<(), Error> {
        self.open()?;
        let timeout = self.timeout();
        let platform = &self.core.client.platform;
        let refreshed = platform.refresh_sandbox(self.sandbox_id(), timeout).await;
        self.record_gone(refreshed, "refresh")?;
        self.set_expiry(timeout);
        Ok(())
    }

    /// Gives the sandbox a new timeout, from now on; [`refresh`](Self::refresh) and
    /// [`resume`](Self::resume) will use it too.
    ///
    /// # Errors
    /// [`Error::SessionNotFound`] if it is gone.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// session.set_timeout(std::time::Duration::from_secs(3600)).await?;
    /// # Ok(()) });
    /// ```
    pub async fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.open()?;
        let platform = &self.core.client.platform;
        let set = platform
            .set_sandbox_timeout(self.sandbox_id(), timeout)
            .await;
        self.record_gone(set, "set the timeout of")?;
        self.set_expiry(timeout);
        Ok(())
    }

    /// What the session is doing now: the platform is asked about the sandbox, and the agent
    /// about itself.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
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
        Ok(
            match self
                .ping_by(Deadline::after(STATUS_PING), Idempotency::Never)
                .await
            {
                Ok(_) => SessionStatus::Active,
                // 502 is the edge's: nobody listens. Everything else was said by the agent.
                Err(Error::Invocation { status, .. }) if status != Some(502) => {
                    SessionStatus::Error
                }
                Err(Error::Runtime { .. }) => SessionStatus::Error,
                Err(_) => SessionStatus::Inactive,
            },
        )
    }

    /// Whether the sandbox runs and its agent is healthy, now.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// assert!(session.is_active().await?);
    /// # Ok(()) });
    /// ```
    pub async fn is_active(&self) -> Result<bool, Error> {
        Ok(self.get_status().await? == SessionStatus::Active)
    }

    /// Whether the sandbox is paused, now. One that is gone is not.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// assert!(!session.is_paused().await?);
    /// # Ok(()) });
    /// ```
    pub async fn is_paused(&self) -> Result<bool, Error> {
        match self.info().await {
            Ok(info) => Ok(info.state == SandboxState::Paused),
            Err(Error::SessionNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All the platform knows about the sandbox, now.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// println!("ends at {:?}", session.info().await?.end_at);
    /// # Ok(()) });
    /// ```
    pub async fn info(&self) -> Result<SandboxInfo, Error> {
        self.open()?;
        let info = self
            .core
            .client
            .platform
            .get_sandbox(self.sandbox_id())
            .await;
        self.record_gone(info, "ask about")
    }

    /// The sandbox's log.
    ///
    /// ```
    /// # use ppio_agent_client::platform::LogQuery;
    /// # integration_tests::example(async |client| {
    /// # let session = client.create_session("tmpl_1").await?;
    /// for entry in session.logs(&LogQuery::default()).await? {
    ///     println!("{}", entry.message);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn logs(&self, query: &LogQuery) -> Result<Vec<LogEntry>, Error> {
        let logs = self
            .core
            .client
            .platform
            .sandbox_logs(self.sandbox_id(), query)
            .await;
        logs.map_err(|error| error.with_operation("read the log of", self.sandbox_id()))
    }

    /// What the sandbox used between two times, in seconds since the Unix epoch; `None` stands for as
    /// far as the platform remembers.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
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

    /// Ends the sandbox and the agent in it, and waits until the platform has said so. One that is
    /// gone already is as good as closed.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`] (or [`Error::Authentication`], …) if the platform cannot be
    /// made to; the sandbox then lives until its time is up, or `close` succeeds.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
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

    /// Remembers that the sandbox is gone if the platform said so, and names the operation.
    fn record_gone<T>(&self, outcome: Result<T, Error>, operation: &str) -> Result<T, Error> {
        if let Err(Error::SessionNotFound { .. }) = outcome {
            self.core.mark_closed();
        }
        outcome.map_err(|error| error.with_operation(operation, self.sandbox_id()))
    }
}
