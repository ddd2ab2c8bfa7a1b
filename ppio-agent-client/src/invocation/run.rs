//! An invocation that outlives its connection.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ppio_agent_protocol::{InvocationResponse, ResponseFormat, RunStatus, headers, sse};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::agent_call::{AgentCall, Repeat};
use super::caller_headers::CallerHeaders;
use super::options::ACCEPT_JSON;
use super::request_id;
use super::response::AgentResponse;
use super::resume::StreamOfRun;
use super::run_info::RunInfo;
use super::stream::{AnswerKind, InvocationStream};
use crate::error::Error;
use crate::platform::{ServiceCall, encode};
use crate::session::SandboxSession;
use crate::transport::{Deadline, RetryPolicy};

/// An invocation that the agent keeps, by its id: it goes on without a caller, and is read from
/// anywhere as often as wanted, while it runs and for some time after its end.
///
/// [`Invoke::detach`](crate::Invoke::detach) starts one;
/// [`SandboxSession::run`] finds it again, also from another process. Cheap to clone.
///
/// A handle keeps its session open. Dropping it does not cancel the run, but a session that was
/// created for the call is closed with its last handle, and the run ends with its sandbox;
/// [`SandboxSession::detach`] keeps the sandbox.
///
/// ```no_run
/// # async fn run(session: ppio_agent_client::SandboxSession) -> Result<(), ppio_agent_client::Error> {
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
    session: SandboxSession,
    id: String,
    headers: HeaderMap,
}

impl Run {
    pub(super) fn new(session: SandboxSession, id: String, headers: HeaderMap) -> Self {
        Self {
            session,
            id,
            headers,
        }
    }

    /// Adds a header to every call about the run: an `authorization`, for example, for an agent
    /// that checks its callers. A run from [`Invoke::detach`](crate::Invoke::detach) has those of
    /// its invocation.
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
        self.headers.extend(headers.into_map()?);
        Ok(self)
    }

    /// The run's id, which is the request id of its invocation.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The session that the run belongs to.
    pub fn session(&self) -> &SandboxSession {
        &self.session
    }

    /// The run's current status.
    ///
    /// # Errors
    /// [`Error::Invocation`] with status 404 if the agent does not keep a run of this session with
    /// this id.
    pub async fn status(&self) -> Result<RunStatus, Error> {
        self.info().await.map(|info| info.status)
    }

    /// The run's current state, with the answer once there is one.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn info(&self) -> Result<RunInfo, Error> {
        let call = ServiceCall::get("look up run", path(&self.id, "")?);
        fetch(&self.session, call.headers(self.headers.clone())).await
    }

    /// The items of the run from its start, as they arrive. A run that answers with a value is a
    /// stream of one item; one whose function makes a response of its own has no items, and is read
    /// with [`result`](Self::result).
    ///
    /// The stream reconnects by itself; see [`Invoke::resumable`](crate::Invoke::resumable).
    /// Dropping it does not cancel the run.
    ///
    /// # Errors
    /// [`Error::Invocation`] with status 404 if the agent does not keep the run, and with status
    /// 410 if it no longer keeps the first items.
    pub async fn stream(&self) -> Result<InvocationStream, Error> {
        self.stream_after(0).await
    }

    /// The items of the run after the one with this number, counted from 1;
    /// [`InvocationStream::last_event_id`] returns the number of the last item.
    ///
    /// # Errors
    /// As [`stream`](Self::stream); status 400 if the run has no such item yet.
    pub async fn stream_after(&self, last_event_id: u64) -> Result<InvocationStream, Error> {
        let deadline = Deadline::after(self.session.default_timeout());
        let policy = self.session.retry_policy();
        let call = self.open_events(last_event_id, policy, deadline)?;
        call.send(AgentResponse::into_stream).await
    }

    /// The call that opens the events of the run after an item.
    pub(super) fn open_events(
        &self,
        last_event_id: u64,
        policy: RetryPolicy,
        deadline: Deadline,
    ) -> Result<AgentCall<'_>, Error> {
        let name = HeaderName::from_static(headers::LAST_EVENT_ID);
        let call = ServiceCall::get("read run", path(&self.id, "/events")?)
            .headers(self.headers.clone())
            .header(header::ACCEPT, HeaderValue::from_static(sse::MEDIA_TYPE))
            .header(name, HeaderValue::from(last_event_id));
        Ok(AgentCall {
            policy,
            deadline,
            stream: Some(StreamOfRun {
                run_id: Some(self.id.clone()),
                last: last_event_id,
                limit: self.session.default_timeout(),
            }),
            run_headers: self.headers.clone(),
            ..call_about_runs(&self.session, call)
        })
    }

    /// Waits until the run has ended, and returns its answer; of a stream, all items as an array. The
    /// wait has no time limit of its own.
    ///
    /// # Errors
    /// [`Error::Invocation`] if the run failed, was cancelled or interrupted; those of
    /// [`stream`](Self::stream).
    pub async fn result(&self) -> Result<InvocationResponse<Value>, Error> {
        let waiting_since = Instant::now();
        let mut stream = self.stream().await?;
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            items.push(item?);
        }
        let result = match stream.answer() {
            Some(AnswerKind::Response) => return self.response().await,
            Some(AnswerKind::Value) => {
                // The envelope has the duration. The agent may have removed the run since.
                if let Ok(info) = self.info().await
                    && let Some(response) = info.response
                {
                    return Ok(response);
                }
                items.pop().unwrap_or(Value::Null)
            }
            Some(AnswerKind::Items) | None => Value::Array(items),
        };
        let mut response = InvocationResponse::success(result);
        response.duration = waiting_since.elapsed().as_secs_f64();
        let metadata = response.metadata.get_or_insert_default();
        metadata.insert("request_id".to_owned(), self.id.clone().into());
        Ok(response)
    }

    /// The response that the function of the agent has made itself.
    async fn response(&self) -> Result<InvocationResponse<Value>, Error> {
        let call = ServiceCall::get("read run", path(&self.id, "/response")?)
            .headers(self.headers.clone())
            .header(header::ACCEPT, HeaderValue::from_static(ACCEPT_JSON))
            .header(
                HeaderName::from_static(headers::RESPONSE_FORMAT),
                HeaderValue::from_static(ResponseFormat::Envelope.as_str()),
            );
        let call = call_about_runs(&self.session, call);
        call.send(AgentResponse::into_value).await
    }

    /// Cancels the run, which ends the streams of its readers. A run that has ended stays as it is. Returns its
    /// state, which says how it ended.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn cancel(&self) -> Result<RunInfo, Error> {
        let call = cancel_call(&self.id, self.headers.clone())?;
        fetch(&self.session, call).await
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may contain secrets.
        f.debug_struct("Run")
            .field("id", &self.id)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl SandboxSession {
    /// The run with this id, started by any client in this session. Sends nothing: an unknown id is
    /// an error of the first call.
    pub fn run(&self, id: impl Into<String>) -> Run {
        Run::new(self.clone(), id.into(), HeaderMap::new())
    }
}

/// Fails if the agent keeps no runs.
pub(super) async fn require_runs(
    session: &SandboxSession,
    operation: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    if session.honours_keys(deadline).await? {
        return Ok(());
    }
    let message = "the agent keeps no runs: build it with a runtime that does, or invoke it without \
                   `detach` and `resumable`";
    Err(Error::runtime(operation, message))
}

/// The call that cancels a run.
pub(super) fn cancel_call(run_id: &str, headers: HeaderMap) -> Result<ServiceCall, Error> {
    Ok(ServiceCall::delete("cancel run", path(run_id, "")?).headers(headers))
}

/// Sends a call about runs and parses the JSON of its response.
pub(super) async fn fetch<T: DeserializeOwned>(
    session: &SandboxSession,
    call: ServiceCall,
) -> Result<T, Error> {
    let call = call_about_runs(session, call);
    call.send(AgentResponse::into_json).await
}

/// A call that may be sent as often as wanted.
fn call_about_runs(session: &SandboxSession, call: ServiceCall) -> AgentCall<'_> {
    AgentCall {
        session,
        call,
        repeat: Repeat::Always,
        policy: session.retry_policy(),
        deadline: Deadline::after(session.default_timeout()),
        stream_deadline: None,
        request_id: request_id::random(),
        stream: None,
        run_headers: HeaderMap::new(),
    }
}

/// The path of a call about one run.
fn path(run_id: &str, rest: &str) -> Result<String, Error> {
    if matches!(run_id, "" | "." | "..") {
        let message = format!("{run_id:?} is not the id of a run");
        return Err(Error::validation("run_id", message));
    }
    Ok(format!("/invocations/{}{rest}", encode(run_id)))
}
