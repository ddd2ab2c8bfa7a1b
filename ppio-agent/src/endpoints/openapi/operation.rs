//! The operations of protocols, and functions that return the JSON of operations.

use serde_json::{Map, Value, json};

/// A path of a protocol, with one of its methods.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProtocolOperation {
    /// The name of the protocol, by which tools group operations.
    pub(crate) tag: &'static str,
    /// `get`, `post` or `delete`.
    pub(crate) method: &'static str,
    /// The path, with the names of its parameters in braces.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
}

impl ProtocolOperation {
    /// Returns the operation as JSON, without the schemas of its requests, responses and errors:
    /// the specification of the protocol contains these schemas.
    pub(super) fn to_json(self) -> Value {
        let mut operation = json!({
            "tags": [self.tag],
            "summary": self.summary,
            "operationId": id(self.method, self.path),
            "responses": {
                "default": {"description": "An answer or an error of the protocol"},
            },
        });
        if self.method == "post" {
            operation["requestBody"] = json!({
                "content": {"application/json": {"schema": {}}},
            });
        }
        operation
    }
}

/// Returns an id that is unique in the document: the method and the words of the path.
pub(super) fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| id + "_" + word)
}

/// Returns the parameters in a path.
pub(super) fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1);
    names
        .filter_map(|rest| rest.split('}').next())
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}

/// Returns a header or query parameter that a caller may send.
pub(super) fn parameter(place: &str, name: &str, description: &str, schema: &Value) -> Value {
    json!({"name": name, "in": place, "description": description, "schema": schema})
}

/// The descriptions of the runtime's own errors, by their status.
const ERRORS: [(u16, &str); 14] = [
    (400, "The request is malformed"),
    (403, "The origin or the caller may not send this request"),
    (404, "There is no such invocation"),
    (408, "The body did not arrive in time"),
    (409, "The invocation was cancelled, or its session is busy"),
    (410, "The requested answer or items are no longer kept"),
    (413, "The body is too large"),
    (415, "The body is not JSON"),
    (421, "The agent does not answer for this host"),
    (422, "The JSON does not fit the agent's type"),
    (426, "The path serves WebSockets"),
    (500, "The agent failed"),
    (503, "The agent is overloaded or shuts down"),
    (504, "The agent did not answer in time"),
];

/// Returns the responses of an operation: the given responses, the given errors, and `default` for
/// the errors whose status the agent chooses.
pub(super) fn responses(given: Value, errors: &[u16]) -> Value {
    let mut responses = match given {
        Value::Object(responses) => responses,
        _ => Map::new(),
    };
    for (status, description) in ERRORS {
        if errors.contains(&status) {
            responses.insert(status.to_string(), error(description));
        }
    }
    responses.insert("default".to_owned(), error("Any other error"));
    Value::Object(responses)
}

fn error(description: &str) -> Value {
    let mut response = json_response(description, "Error");
    response["headers"] = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
    response
}

/// Returns a response with a JSON body, whose schema is a component.
pub(super) fn json_response(description: &str, component: &str) -> Value {
    let schema = json!({"$ref": format!("#/components/schemas/{component}")});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}
