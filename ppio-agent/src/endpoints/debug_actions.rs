//! Actions of AgentCore's tools. In debug mode, the runtime performs them instead of calling the
//! agent.

use http::StatusCode;
use http_body::Body as _;
use ppio_agent_protocol::PingStatus;
use serde::Serialize;
use serde_json::Value;

use super::ping::Ping;
use crate::exchange::body::{Body, Request, Response};
use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;
use crate::exchange::task_tracker::TaskTracker;
use crate::task::TaskInfo;

/// The member of a request that names an action.
const ACTION_MEMBER: &str = "_agent_core_app_action";

/// The size above which a body is not searched for an action, in bytes; requests with an action are
/// much smaller. A body of unknown size is always searched.
const MAX_BODY: u64 = 64 << 10;

/// A request in debug mode.
pub(crate) enum DebugRequest {
    /// The response to an action.
    Answer(Response),
    /// The request is for the agent.
    Invocation(Request),
}

/// Performs the action that a request names. Returns the request if its body names no action, or is
/// known to be larger than `MAX_BODY`.
pub(crate) async fn find(
    request: Request,
    ping: &Ping,
    busy: bool,
    tasks: &TaskTracker,
) -> Result<DebugRequest, Error> {
    if request.body().size_hint().lower() > MAX_BODY {
        return Ok(DebugRequest::Invocation(request));
    }
    let (parts, body) = request.into_parts();
    let body = body.bytes().await?;
    let Some(action) = action_in(&body) else {
        let request = Request::from_parts(parts, Body::from(body));
        return Ok(DebugRequest::Invocation(request));
    };
    let answer = match action.as_str() {
        Some("ping_status") => {
            let ping = ping.health(busy, tasks.forced_status()).await.ping;
            json::to_bytes(&PingAnswer {
                status: ping.status,
                time_of_last_update: ping.time_of_last_update,
            })
        }
        Some("job_status") => json::to_bytes(&TaskInfo::of(tasks)),
        Some("force_healthy") => force(tasks, PingStatus::Healthy),
        Some("force_busy") => force(tasks, PingStatus::HealthyBusy),
        Some("clear_forced_status") => {
            tasks.clear_forced_status();
            json::to_bytes(&ForcedAnswer {
                forced_status: "Cleared",
            })
        }
        name => {
            let found = name.map_or_else(|| action.to_string(), str::to_owned);
            let found = found.chars().take(200).collect();
            return Err(Rejection::UnknownAction { found }.into());
        }
    };
    tracing::debug!(%action, "debug action done");
    Ok(DebugRequest::Answer(json::response(StatusCode::OK, answer)))
}

fn force(tasks: &TaskTracker, status: PingStatus) -> bytes::Bytes {
    tasks.force_status(status);
    json::to_bytes(&ForcedAnswer {
        forced_status: status.as_str(),
    })
}

/// Returns the action in a body. Like AgentCore's runtime, this function ignores a value that is
/// falsy in Python.
fn action_in(body: &[u8]) -> Option<Value> {
    #[derive(serde::Deserialize)]
    struct OnlyAction {
        #[serde(rename = "_agent_core_app_action")]
        action: Option<Value>,
    }
    // Searching for the name costs much less than parsing a body without it.
    memchr::memmem::find(body, ACTION_MEMBER.as_bytes()).filter(|_| json::is_object(body))?;
    let action = serde_json::from_slice::<OnlyAction>(body).ok()?.action?;
    let is_false = match &action {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    };
    (!is_false).then_some(action)
}

#[derive(Serialize)]
struct PingAnswer {
    status: PingStatus,
    time_of_last_update: Option<u64>,
}

#[derive(Serialize)]
struct ForcedAnswer {
    forced_status: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_top_level_member_of_an_object() {
        for (body, action) in [
            (r#"{"_agent_core_app_action":"x"}"#, Some("\"x\"")),
            (r#"{"a":1,"_agent_core_app_action":["x"]}"#, Some("[\"x\"]")),
            (r#"{"_agent_core_app_action":7}"#, Some("7")),
            (r#"{"_agent_core_app_action":""}"#, None),
            (r#"{"_agent_core_app_action":null}"#, None),
            (r#"{"_agent_core_app_action":0}"#, None),
            (r#"{"_agent_core_app_action":false}"#, None),
            (r#"{"_agent_core_app_action":{}}"#, None),
            (r#"{"a":{"_agent_core_app_action":"x"}}"#, None),
            (r#""_agent_core_app_action""#, None),
            (r#"["_agent_core_app_action"]"#, None),
            (r#"{"_agent_core_app_action":"#, None),
            ("", None),
        ] {
            let found = action_in(body.as_bytes()).map(|action| action.to_string());
            assert_eq!(found.as_deref(), action, "{body}");
        }
    }
}
