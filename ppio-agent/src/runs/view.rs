//! The state of runs as JSON.

use std::time::SystemTime;

use bytes::Bytes;
use ppio_agent_protocol::RunStatus;
use serde::Serialize;

use super::answer::Answer;
use super::inspection::InspectionSummary;
use super::run::{Run, RunView};
use crate::exchange::json;

#[derive(Serialize)]
struct RunBody<'a> {
    id: &'a str,
    status: RunStatus,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    items: u64,
    stream: bool,
    on_disconnect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_dropped: Option<bool>,
    #[serde(flatten)]
    inspection: Option<&'a InspectionSummary>,
}

impl Run {
    /// Returns the state, with the envelope of the answer once there is one, and the inspection of
    /// the run.
    pub(crate) fn to_json(&self) -> Bytes {
        let state = self.view().to_json();
        match self.inspection_details() {
            Some(details) => json::with_member(&state, "inspection", &details),
            None => state,
        }
    }
}

impl RunView {
    /// Returns the state, with the envelope of the answer once there is one.
    fn to_json(&self) -> Bytes {
        let state = json::to_bytes(&self.state());
        let answer = self.answer.as_ref();
        match answer.and_then(|answer| answer.envelope(self.id.as_str())) {
            Some(envelope) => json::with_member(&state, "response", &envelope),
            None => state,
        }
    }

    fn state(&self) -> RunBody<'_> {
        RunBody {
            id: self.id.as_str(),
            status: self.status,
            started_at: timestamp(self.started_at),
            ended_at: self.ended_at.map(timestamp),
            items: self.items,
            stream: self.is_stream,
            on_disconnect: self.on_disconnect.as_str(),
            session_id: self.session.as_deref(),
            response_status: self.response_status.map(|status| status.as_u16()),
            response_dropped: matches!(self.answer, Some(Answer::Dropped)).then_some(true),
            inspection: self.inspection.as_ref(),
        }
    }
}

/// Returns a list of states as JSON, without answers.
pub(crate) fn list(views: &[RunView]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        invocations: Vec<RunBody<'a>>,
    }
    json::to_bytes(&List {
        invocations: views.iter().map(RunView::state).collect(),
    })
}

/// Formats a time as RFC 3339, in UTC, with milliseconds.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
