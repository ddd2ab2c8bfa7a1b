//! Interrupts as requests for input, which clients of the generation without `initialize` answer by
//! sending the call again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ppio_agent_protocol::ChatEvent;
use serde_json::{Map, Value, json};

use super::generation::META_CAPABILITIES;
use super::message::{JsonRpcError, RpcRequest, object};

/// Whether the client can show a form to its user.
pub(super) fn can_ask(request: &RpcRequest) -> bool {
    let capabilities = request.meta(META_CAPABILITIES);
    let elicitation = capabilities.and_then(|capabilities| capabilities.get("elicitation"));
    match elicitation {
        Some(Value::Object(modes)) => modes.is_empty() || modes.contains_key("form"),
        _ => false,
    }
}

/// Returns the result that requests the response to an interrupt; `None` if a form cannot request
/// it. `earlier` contains the responses that the call already has.
pub(super) fn input_required(
    interrupt: &ChatEvent,
    earlier: &[Value],
) -> Option<Map<String, Value>> {
    let ChatEvent::Interrupt {
        id,
        reason,
        message,
        response_schema,
        ..
    } = interrupt
    else {
        return None;
    };
    let form = json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": message.as_ref().unwrap_or(reason),
            "requestedSchema": form_schema(response_schema.as_ref())?,
        },
    });
    Some(object(json!({
        "resultType": "input_required",
        "inputRequests": {id: form},
        "requestState": write_state(earlier),
    })))
}

/// Returns the schema of a form, whose fields are scalars. Without a response schema, the form has
/// no fields, and the user only accepts the form. Returns `None` if the response schema has fields
/// of other types, or is not the schema of an object with `properties`.
fn form_schema(response: Option<&Value>) -> Option<Value> {
    let Some(schema) = response else {
        return Some(json!({"type": "object", "properties": {}}));
    };
    let is_form = schema.get("type")? == "object"
        && schema
            .get("properties")?
            .as_object()?
            .values()
            .all(is_field);
    let mut form = json!({"type": "object", "properties": schema.get("properties")?});
    if let Some(required) = schema.get("required") {
        form["required"] = required.clone();
    }
    is_form.then_some(form)
}

fn is_field(schema: &Value) -> bool {
    let kind = schema.get("type").and_then(Value::as_str);
    matches!(kind, Some("string" | "number" | "integer" | "boolean"))
}

/// Returns the responses to interrupts in a repeated call: those of earlier rounds, which the
/// client returns as `requestState`, and new ones.
pub(super) fn responses(params: &Map<String, Value>) -> Result<Vec<Value>, JsonRpcError> {
    let mut responses = match params.get("requestState") {
        None => Vec::new(),
        Some(state) => read_state(state).ok_or_else(|| {
            JsonRpcError::invalid_params("`requestState` is not what the server returned")
        })?,
    };
    match params.get("inputResponses") {
        None => {}
        Some(Value::Object(new)) => {
            for (id, response) in new {
                responses.push(read_response(id, response)?);
            }
        }
        Some(_) => {
            return Err(JsonRpcError::invalid_params(
                "`inputResponses` is not an object",
            ));
        }
    }
    Ok(responses)
}

fn read_response(id: &str, response: &Value) -> Result<Value, JsonRpcError> {
    match response.get("action").and_then(Value::as_str) {
        Some("accept") => Ok(json!({
            "interrupt_id": id,
            "status": "resolved",
            "payload": response.get("content"),
        })),
        Some("decline" | "cancel") => Ok(json!({"interrupt_id": id, "status": "cancelled"})),
        _ => {
            let id: String = id.chars().take(100).collect();
            let message = format!("the `action` of {id:?} must be `accept`, `decline` or `cancel`");
            Err(JsonRpcError::invalid_params(message))
        }
    }
}

/// Encodes the state of a call for its next round. The state needs no signature, since the client
/// may send the same content as an argument.
fn write_state(responses: &[Value]) -> String {
    STANDARD.encode(json!(responses).to_string())
}

fn read_state(state: &Value) -> Option<Vec<Value>> {
    let json = STANDARD.decode(state.as_str()?).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupt(response_schema: Option<Value>) -> ChatEvent {
        ChatEvent::Interrupt {
            id: "i-1".to_owned(),
            reason: "approval".to_owned(),
            message: None,
            tool_call_id: None,
            response_schema,
        }
    }

    #[test]
    fn a_flat_schema_is_a_form() {
        let flat = json!({
            "title": "Approval",
            "type": "object",
            "properties": {"approved": {"type": "boolean"}},
            "required": ["approved"],
        });
        let result = Value::Object(input_required(&interrupt(Some(flat)), &[]).unwrap());
        let params = &result["inputRequests"]["i-1"]["params"];
        assert_eq!(params["message"], "approval");
        let schema = json!({
            "type": "object",
            "properties": {"approved": {"type": "boolean"}},
            "required": ["approved"],
        });
        assert_eq!(params["requestedSchema"], schema);
        assert!(input_required(&interrupt(None), &[]).is_some());
        for other in [
            json!({"type": "string"}),
            json!({}),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"a": {"type": "object"}}}),
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
        ] {
            let interrupt = interrupt(Some(other.clone()));
            assert_eq!(input_required(&interrupt, &[]), None, "{other}");
        }
    }

    #[test]
    fn a_round_contains_the_responses_of_earlier_rounds() {
        let accepted = json!({"action": "accept", "content": {"a": 1}});
        let first = responses(&object(json!({"inputResponses": {"i-1": accepted}}))).unwrap();
        let asked = Value::Object(input_required(&interrupt(None), &first).unwrap());
        let second = object(json!({
            "inputResponses": {"i-2": {"action": "cancel"}},
            "requestState": asked["requestState"],
        }));
        let expected = json!([
            {"interrupt_id": "i-1", "status": "resolved", "payload": {"a": 1}},
            {"interrupt_id": "i-2", "status": "cancelled"},
        ]);
        assert_eq!(json!(responses(&second).unwrap()), expected);
        for invalid in [
            json!({"inputResponses": null}),
            json!({"inputResponses": {"i-1": 5}}),
            json!({"inputResponses": {"i-1": {"action": "run"}}}),
            json!({"requestState": "?"}),
            json!({"requestState": 5}),
            json!({"requestState": STANDARD.encode("{}")}),
        ] {
            assert!(responses(&object(invalid.clone())).is_err(), "{invalid}");
        }
    }
}
