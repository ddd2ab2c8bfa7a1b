//! The data that is kept for a response in addition to its answer, and the lookup of a response.

use std::sync::Arc;

use http::HeaderMap;
use ppio_agent_protocol::{InvocationRequest, RunStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{events_of, reattach};
use crate::exchange::Exchange;
use crate::exchange::error::Error;
use crate::exchange::json::line;
use crate::protocols::ProtocolAgent;
use crate::protocols::openai::tools::CallerTools;
use crate::runs::json_size::escaped_size;
use crate::runs::run::Run;
use crate::runs::tag::RunTag;
use crate::runs::{self};

/// The prefix of the id of a response, followed by the id of its run.
pub(super) const PREFIX: &str = "resp_";

const PROTOCOL: &str = "openai";

/// What is kept of the request of a response.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The members that the response repeats.
    pub(super) echo: Map<String, Value>,
    pub(super) tools: CallerTools,
    /// The input items, with the items of the responses that are continued; `None` if all these
    /// items are too large.
    pub(super) items: Option<Vec<Value>>,
}

impl Kept {
    /// Returns the tag of the run; the tag does not contain the items if its data would otherwise
    /// be larger than `max_size` bytes. The journal stores the tag as a JSON string, so the size of
    /// the data is that of the escaped string.
    pub(super) fn tag(&self, request: &InvocationRequest, max_size: usize) -> RunTag {
        let mut data = line(self);
        if escaped_size(data.as_bytes()) > max_size {
            data = line(&Self {
                echo: self.echo.clone(),
                tools: self.tools.clone(),
                items: None,
            });
        }
        RunTag {
            protocol: PROTOCOL.to_owned(),
            thread: request.thread_id.clone(),
            data,
        }
    }
}

/// Returns the run of a response, and the data that is kept of its request.
pub(super) fn find(
    agent: &ProtocolAgent<'_>,
    headers: &HeaderMap,
    id: &str,
) -> Result<(Arc<Run>, Kept), Error> {
    let found = id
        .strip_prefix(PREFIX)
        .and_then(|id| runs::find(agent.runs, headers, id).ok());
    let kept = found.and_then(|run| {
        let tag = run.tag().filter(|tag| tag.protocol == PROTOCOL)?;
        let kept = serde_json::from_str(&tag.data).ok()?;
        Some((run, kept))
    });
    kept.ok_or_else(|| {
        let id: String = id.chars().take(64).collect();
        let message = format!(
            "no response {id:?} is kept here; it may have expired, was not stored, or is another \
             caller's"
        );
        Error::not_found(message).with_type("ResponseNotFound")
    })
}

/// Returns the items of a conversation up to the end of a response, and the id of the thread.
///
/// # Errors
/// If the response is not found, is in progress or did not complete, or if its items are no longer
/// kept.
pub(super) async fn conversation(
    agent: &ProtocolAgent<'_>,
    exchange: &Exchange,
    headers: &HeaderMap,
    id: &str,
) -> Result<(Vec<Value>, Option<String>), Error> {
    let (run, mut kept) = find(agent, headers, id)?;
    let cannot = |why: &str| {
        let message = format!("cannot continue response {id:?}: {why}");
        Error::bad_request(message).with_type("PreviousResponse")
    };
    match run.status() {
        RunStatus::Success => {}
        RunStatus::Running => return Err(cannot("it is in progress; wait until it has ended")),
        _ => {
            return Err(cannot(
                "it did not complete; send its items as `input` instead",
            ));
        }
    }
    let Some(mut items) = kept.items.take() else {
        return Err(cannot(
            "its input was too large to keep; send all items as `input` instead",
        ));
    };
    let (mut answer, _) = reattach(agent, exchange, &run).await?.into_parts();
    let response = events_of(&run, kept).collect(&mut answer).await;
    let response = response.map_err(|failed| cannot(&failed.failure.message))?;
    let mut response: Value = serde_json::from_str(&response).unwrap_or_default();
    if let Value::Array(output) = response["output"].take() {
        items.extend(output);
    }
    let thread = run.tag().and_then(|tag| tag.thread.clone());
    Ok((items, thread))
}
