//! The schemas of the JSON that the runtime itself writes.

use serde_json::{Value, json};

pub(super) fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

pub(super) fn envelope() -> Value {
    let mut properties = envelope_members("success");
    properties["result"] = json!({"$ref": "#/components/schemas/Reply"});
    object(&["result", "status", "duration"], &properties)
}

pub(super) fn error() -> Value {
    let mut properties = envelope_members("error");
    properties["error"] = json!({"type": "string", "description": "What failed"});
    properties["error_type"] = json!({"type": "string", "description": "The kind of error"});
    object(&["status", "error"], &properties)
}

fn envelope_members(status: &str) -> Value {
    let seconds = json!({"type": "number", "minimum": 0, "description": "In seconds"});
    json!({
        "status": {"const": status},
        "duration": seconds,
        "metadata": {"type": "object"},
    })
}

pub(super) fn run() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    object(
        &[
            "id",
            "status",
            "started_at",
            "items",
            "stream",
            "on_disconnect",
        ],
        &json!({
            "id": {"type": "string"},
            "status": {"enum": ["running", "success", "error", "cancelled", "interrupted"]},
            "started_at": time.clone(),
            "ended_at": time,
            "items": {"type": "integer", "minimum": 0},
            "stream": {"type": "boolean"},
            "on_disconnect": {"enum": ["cancel", "continue"]},
            "session_id": {"type": "string"},
            "response_status": {"type": "integer"},
            "response_dropped": {"type": "boolean"},
            "response": {"type": "object", "description": "The envelope of the answer"},
        }),
    )
}

/// Returns the schema of the event after the last item of a stream with ids.
pub(super) fn end() -> Value {
    object(
        &["status", "items"],
        &json!({
            "status": {"enum": ["success", "error", "cancelled", "interrupted"]},
            "items": {"type": "integer", "minimum": 0},
            "error": {"type": "string"},
            "error_type": {"type": "string"},
            "result": {},
        }),
    )
}

pub(super) fn run_started() -> Value {
    let properties = json!({"id": {"type": "string"}, "status": {"const": "running"}});
    object(&["id", "status"], &properties)
}

pub(super) fn ping() -> Value {
    object(
        &["status"],
        &json!({
            "status": {"enum": ["Healthy", "HealthyBusy"]},
            "message": {"type": "string"},
            "timestamp": {"type": "string"},
            "time_of_last_update": {"type": "integer"},
        }),
    )
}
