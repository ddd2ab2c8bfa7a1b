//! An invocation that outlives its connection.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ppio_agent_protocol::{InvocationResponse, ResponseFormat, RunStatus, headers};
use serde_json::Value;
use tokio::time::Instant;

use super::caller_headers::CallerHeaders;
use super::options::ACCEPT_JSON;
use super::response::{AgentResponse, OPERATION};
use super::run_calls::{RunTarget, call_about_runs, cancel_call, fetch, path};
use super::run_info::RunInfo;
use super::stream::{AnswerShape, InvocationStream};
use crate::error::Error;
use crate::platform::ServiceCall;
use crate::session::SandboxSession;
use crate::transport::Deadline;

/// An invocation that the agent keeps under its id. It continues without a caller, and can be read
/// from anywhere any number of times, while it runs and for some time after its end.
///
/// [`Invoke::detach`](crate::Invoke::detach) starts a run; [`SandboxSession::run`] returns a handle
/// to an existing run, even from another process. Cheap to clone.
///
/// A handle keeps its session open. Dropping the handle does not cancel the run, but a session that
/// was created for the invocation is closed when the last handle of the session is dropped, and the
/// run ends with its sandbox; [`SandboxSession::detach`] keeps the sandbox.
///
/// ```no_run
/// # use ppio_agent_client::{Error, SandboxSession};
/// # async fn run(session: SandboxSession) -> Result<(), Error> {
/// let run = session.invoke("write a book").detach().await?;
/// println!("{} is {}", run.id(), run.status().await?);
///
/// // Later, perhaps in another process.
/// let mut chapters = session.run(run.id()).stream().await?;
/// while let Some(chapter) = chapters.next().await {
///     println!("{}", chapter?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Run {
    target: RunTarget,
}

impl Run {
    pub(super) fn new(session: SandboxSession, id: String, headers: HeaderMap) -> Self {
        let target = RunTarget {
            session,
            id,
            headers,
        };
        Self { target }
    }

    /// Sets a header of every call about the run: an `authorization`, for example, for an agent
    /// that checks its callers. The header replaces an earlier header with the same name. A run
    /// from [`Invoke::detach`](crate::Invoke::detach) has the headers of its invocation.
    ///
    /// # Errors
    /// [`Error::Validation`] as for [`Invoke::header`](crate::Invoke::header).
    pub fn header<V: TryInto<HeaderValue>>(
        mut self,
        name: impl AsRef<str>,
        value: V,
    ) -> Result<Self, Error> {
        let mut headers = CallerHeaders::default();
        headers.add(name.as_ref(), value);
        self.target.headers.extend(headers.into_map()?);
        Ok(self)
    }

    /// The run's id, which is the request id of its invocation.
    pub fn id(&self) -> &str {
        &self.target.id
    }

    /// The session that the run belongs to.
    pub fn session(&self) -> &SandboxSession {
        &self.target.session
    }

    /// Returns the run's current status.
    ///
    /// # Errors
    /// [`Error::Invocation`] with status 404 if the agent does not keep a run of this session with
    /// this id, and any other error of a call to the agent: [`Error::SessionNotFound`],
    /// [`Error::Network`], [`Error::Timeout`], …
    pub async fn status(&self) -> Result<RunStatus, Error> {
        self.info().await.map(|info| info.status)
    }

    /// Returns the run's current state, with the answer once there is one.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn info(&self) -> Result<RunInfo, Error> {
        let call = ServiceCall::get("look up run", path(&self.target.id, "")?);
        fetch(
            &self.target.session,
            call.headers(self.target.headers.clone()),
        )
        .await
    }

    /// Returns the items of the run from its start, as they arrive. A run that answers with a value
    /// is a stream of one item; a run whose function builds a response of its own has no items, and
    /// is read with [`result`](Self::result).
    ///
    /// The stream reconnects by itself; see [`Invoke::resumable`](crate::Invoke::resumable).
    /// Dropping the stream does not cancel the run.
    ///
    /// # Errors
    /// [`Error::Invocation`] with status 404 if the agent does not keep the run, and with status
    /// 410 if it no longer keeps the first items; any other error of a call to the agent:
    /// [`Error::SessionNotFound`], [`Error::Network`], [`Error::Timeout`], …
    pub async fn stream(&self) -> Result<InvocationStream, Error> {
        self.stream_after(0).await
    }

    /// Returns the items of the run after the item with this number, counted from 1;
    /// [`InvocationStream::last_event_id`] returns the number of the last item.
    ///
    /// # Errors
    /// Those of [`stream`](Self::stream), and status 400 if the run has no such item yet.
    pub async fn stream_after(&self, last_event_id: u64) -> Result<InvocationStream, Error> {
        let deadline = Deadline::after(self.target.session.default_timeout());
        let policy = self.target.session.retry_policy();
        let call = self.target.open_events(last_event_id, policy, deadline)?;
        call.send(AgentResponse::into_stream).await
    }

    /// Waits until the run has ended, and returns its answer; for a stream, all items as an array,
    /// with the time of this wait as the duration. The wait has no time limit of its own.
    ///
    /// # Errors
    /// [`Error::Invocation`] if the run failed, was cancelled or was interrupted, and those of
    /// [`stream`](Self::stream).
    pub async fn result(&self) -> Result<InvocationResponse<Value>, Error> {
        let waiting_since = Instant::now();
        let mut stream = self.stream().await?;
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            items.push(item?);
        }
        let result = match stream.answer() {
            Some(AnswerShape::Response) => return self.response().await,
            Some(AnswerShape::Value) => {
                // The envelope contains the duration. The agent may have removed the run in the
                // meantime.
                if let Ok(info) = self.info().await
                    && let Some(response) = info.response
                {
                    return Ok(response);
                }
                items.pop().unwrap_or(Value::Null)
            }
            Some(AnswerShape::Items) | None => Value::Array(items),
        };
        let mut response = InvocationResponse::success(result);
        response.duration = waiting_since.elapsed().as_secs_f64();
        let metadata = response.metadata.get_or_insert_default();
        metadata.insert("request_id".to_owned(), self.target.id.clone().into());
        Ok(response)
    }

    /// Fetches the response that the agent's function has built itself.
    async fn response(&self) -> Result<InvocationResponse<Value>, Error> {
        let call = ServiceCall::get("read run", path(&self.target.id, "/response")?)
            .headers(self.target.headers.clone())
            .header(header::ACCEPT, HeaderValue::from_static(ACCEPT_JSON))
            .header(
                HeaderName::from_static(headers::RESPONSE_FORMAT),
                HeaderValue::from_static(ResponseFormat::Envelope.as_str()),
            );
        let call = call_about_runs(&self.target.session, call);
        call.send(AgentResponse::into_value).await
    }

    /// Cancels the run, which ends the streams of its readers, and returns its state, which shows
    /// how it ended. A run that has ended does not change.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn cancel(&self) -> Result<RunInfo, Error> {
        let call = cancel_call(&self.target.id, self.target.headers.clone())?;
        fetch(&self.target.session, call).await
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.fmt(f)
    }
}

impl AgentResponse {
    /// Returns the run of an invocation that the agent has accepted.
    pub(super) async fn into_run(mut self) -> Result<Run, Error> {
        /// The body of the response.
        #[derive(serde::Deserialize)]
        struct Accepted {
            id: String,
        }

        if self.response.status() != StatusCode::ACCEPTED {
            let message =
                "the agent responded immediately and keeps no run; invoke it without `detach`";
            return Err(Error::runtime(OPERATION, message));
        }
        let session = self.session.clone();
        let headers = std::mem::take(&mut self.run_headers);
        let accepted: Accepted = self.into_json().await?;
        Ok(Run::new(session, accepted.id, headers))
    }
}

impl SandboxSession {
    /// Returns a handle to the run with this id, whichever client started it in this session. Sends
    /// no request: for an unknown id, the first call fails.
    pub fn run(&self, id: impl Into<String>) -> Run {
        Run::new(self.clone(), id.into(), HeaderMap::new())
    }
}
