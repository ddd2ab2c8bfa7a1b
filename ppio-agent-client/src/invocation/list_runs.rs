//! The builder of a list of runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderValue;
use ppio_agent_protocol::RunStatus;

use super::caller_headers::CallerHeaders;
use super::run_calls::{fetch, require_runs};
use super::run_info::{RunInfo, RunList};
use crate::deferred::{Deferred, DeferredCall};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::Deadline;

/// The limit of a list if the caller sets none: the maximum number of runs that agents return.
const MAX_LISTED: usize = 10_000;

/// Lists the runs of a session when awaited, newest first.
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "nothing is sent until this is awaited"]
pub struct ListRuns {
    call: Deferred<ListOptions>,
}

struct ListOptions {
    session: SandboxSession,
    status: Option<RunStatus>,
    limit: usize,
    headers: CallerHeaders,
}

impl ListRuns {
    fn set(mut self, change: impl FnOnce(&mut ListOptions)) -> Self {
        self.call.set(change);
        self
    }

    /// Lists only the runs with this status.
    pub fn status(self, status: RunStatus) -> Self {
        self.set(|options| options.status = Some(status))
    }

    /// Lists at most `limit` of the newest runs, 1 to 10,000.
    pub fn limit(self, limit: usize) -> Self {
        self.set(|options| options.limit = limit)
    }

    /// Adds a header; see [`Invoke::header`](crate::Invoke::header).
    pub fn header<V: TryInto<HeaderValue>>(self, name: impl AsRef<str>, value: V) -> Self {
        self.set(|options| options.headers.add(name.as_ref(), value))
    }
}

impl SandboxSession {
    /// Lists the runs of this session that the agent keeps. Set a status or a limit on the returned
    /// value, then await it.
    ///
    /// # Errors
    /// When awaited, [`Error::Runtime`] if the agent does not keep runs, [`Error::Validation`] for
    /// an invalid header, and any other error of a call to the agent: [`Error::Invocation`],
    /// [`Error::SessionNotFound`], [`Error::Network`], …
    ///
    /// ```no_run
    /// # use ppio_agent_client::{Error, SandboxSession};
    /// # async fn run(session: SandboxSession) -> Result<(), Error> {
    /// use ppio_agent_client::RunStatus;
    ///
    /// for run in session.runs().status(RunStatus::Running).await? {
    ///     println!("{} since {:?}", run.id, run.started_at);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn runs(&self) -> ListRuns {
        let options = ListOptions {
            session: self.clone(),
            status: None,
            limit: MAX_LISTED,
            headers: CallerHeaders::default(),
        };
        ListRuns {
            call: Deferred::new(options),
        }
    }
}

impl DeferredCall for ListOptions {
    type Output = Result<Vec<RunInfo>, Error>;

    async fn run(self) -> Self::Output {
        const OPERATION: &str = "list runs";
        let headers = self.headers.into_map()?;
        let deadline = Deadline::after(self.session.default_timeout());
        require_runs(&self.session, OPERATION, deadline).await?;
        let call = ServiceCall::get(OPERATION, "/invocations")
            .query("limit", self.limit.to_string())
            .query_if("status", self.status)
            .headers(headers);
        let list: RunList = fetch(&self.session, call).await?;
        Ok(list.invocations)
    }
}

impl Future for ListRuns {
    type Output = Result<Vec<RunInfo>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for ListRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("ListRuns");
        if let Some(options) = self.call.options() {
            output
                .field("session", &options.session)
                .field("status", &options.status)
                .field("limit", &options.limit);
        }
        output.finish_non_exhaustive()
    }
}
