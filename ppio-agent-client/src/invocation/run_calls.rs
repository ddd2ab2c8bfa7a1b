//! Calls about runs.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ppio_agent_protocol::{headers, sse};
use serde::de::DeserializeOwned;

use super::agent_call::{AgentCall, Repeat};
use super::request_id;
use super::response::{AgentResponse, StreamOfRun};
use crate::error::Error;
use crate::platform::{ServiceCall, encode};
use crate::session::SandboxSession;
use crate::transport::{Deadline, RetryPolicy};

/// A run, its session, and the headers of calls about it.
#[derive(Clone)]
pub(super) struct RunTarget {
    pub(super) session: SandboxSession,
    pub(super) id: String,
    /// The caller's headers.
    pub(super) headers: HeaderMap,
}

impl RunTarget {
    /// Returns the call that opens the events of the run after an item.
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
}

impl fmt::Debug for RunTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may contain secrets.
        f.debug_struct("Run")
            .field("id", &self.id)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Returns an error if the agent does not keep runs.
pub(super) async fn require_runs(
    session: &SandboxSession,
    operation: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    if session.honours_keys(deadline).await? {
        return Ok(());
    }
    let message = "the agent keeps no runs: build it with a runtime that does, or invoke it \
                   without `detach` and `resumable`";
    Err(Error::runtime(operation, message))
}

/// Returns the call that cancels a run.
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

/// Returns a call that may be repeated any number of times.
pub(super) fn call_about_runs(session: &SandboxSession, call: ServiceCall) -> AgentCall<'_> {
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

/// Returns the path of a call about one run.
pub(super) fn path(run_id: &str, rest: &str) -> Result<String, Error> {
    if matches!(run_id, "" | "." | "..") {
        let message = format!("{run_id:?} is not the id of a run");
        return Err(Error::validation("run_id", message));
    }
    Ok(format!("/invocations/{}{rest}", encode(run_id)))
}
