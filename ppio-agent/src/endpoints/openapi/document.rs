//! Builds the `OpenAPI` document.

use ppio_agent_schema::{ReplySchema, Schema};
use serde_json::{Map, Value, json};

use super::AboutService;
use super::components::Components;
use super::operation::{self, ProtocolOperation, json_response, parameter, responses};
use super::own_schemas::{end, envelope, error, object, ping, run, run_started};
use crate::endpoints::entrypoint_schema::EntrypointSchema;

/// The statuses of the runtime's own errors for an invocation.
const INVOCATION_ERRORS: [u16; 13] = [
    400, 403, 408, 409, 410, 413, 415, 421, 422, 500, 503, 504, 404,
];
/// The statuses of the runtime's own errors for `/`, `/ping`, `/openapi.json` and `/metrics`.
const READ_ERRORS: [u16; 2] = [400, 421];
/// The statuses of the runtime's own errors for `/invocations/{id}`.
const RUN_ERRORS: [u16; 4] = [400, 403, 404, 421];
/// The version of an agent without a version, since `OpenAPI` requires one.
const NO_VERSION: &str = "0.0.0";

/// An `OpenAPI` document while it is built.
pub(super) struct Document {
    about: Map<String, Value>,
    paths: Map<String, Value>,
    components: Components,
}

impl Document {
    pub(super) fn new(about: &AboutService, schema: Option<&EntrypointSchema>) -> Self {
        let mut document = Self {
            about: info(about),
            paths: Map::new(),
            components: Components::default(),
        };
        document.add_own_schemas();
        let reply = document.add_entrypoint(schema);
        document.add("/invocations", "post", invoke(&reply));
        document.add_runs(&reply);
        document.add_service(about);
        for &operation in &about.protocols {
            document.add_protocol(operation);
        }
        document
    }

    pub(super) fn into_value(self) -> Value {
        let Self {
            about,
            mut paths,
            components,
        } = self;
        for (path, operations) in &mut paths {
            let parameters = operation::path_parameters(path);
            if !parameters.is_empty() {
                operations["parameters"] = parameters.into();
            }
        }
        let request_id = "The id of the request, which is that of the run";
        json!({
            "openapi": "3.1.0",
            "info": about,
            "paths": paths,
            "components": {
                "schemas": components.into_value(),
                "headers": {
                    "RequestId": {"description": request_id, "schema": {"type": "string"}},
                },
            },
        })
    }

    fn add(&mut self, path: &str, method: &str, mut operation: Value) {
        operation["operationId"] = operation::id(method, path).into();
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        operations[method] = operation;
    }

    /// Adds an operation of a protocol. The operation replaces the agent's own operation if a
    /// platform calls the protocol at the path of that operation.
    fn add_protocol(&mut self, operation: ProtocolOperation) {
        self.add(operation.path, operation.method, operation.to_json());
    }

    /// Adds the schemas of the entrypoint, and returns the kinds of answers that the entrypoint
    /// has.
    fn add_entrypoint(&mut self, schema: Option<&EntrypointSchema>) -> EntrypointReply {
        let any = Schema::any();
        let (request, value, items) = match schema {
            None => (&any, Some(&any), Some(&any)),
            Some(EntrypointSchema { request, reply }) => match reply {
                // If the type of the reply is unknown, the function may answer with a value or with
                // items.
                ReplySchema::Value(value) if value.is_any() => (request, Some(value), Some(&any)),
                ReplySchema::Value(value) => (request, Some(value), None),
                ReplySchema::Items(items) => (request, None, Some(items)),
                ReplySchema::Either { value, items } => (request, Some(value), Some(items)),
                _ => (request, Some(&any), Some(&any)),
            },
        };
        self.components.add("Request", request);
        if let Some(value) = value {
            self.components.add("Reply", value);
            self.components.insert("Envelope", envelope());
        }
        if let Some(items) = items {
            let text = json!({"type": "string"});
            let error = json!({"error": text.clone(), "error_type": text});
            let error = object(&["error", "error_type"], &error);
            self.components.insert("ErrorItem", error);
            self.components.insert("End", end());
            self.components.add("Item", items);
        }
        EntrypointReply {
            has_value: value.is_some(),
            has_items: items.is_some(),
        }
    }

    fn add_own_schemas(&mut self) {
        self.components.insert("Error", error());
        self.components.insert("Run", run());
        let runs = json!({"type": "array", "items": {"$ref": "#/components/schemas/Run"}});
        let list = object(&["invocations"], &json!({"invocations": runs}));
        self.components.insert("RunList", list);
        self.components.insert("RunStarted", run_started());
        self.components.insert("Ping", ping());
    }

    fn add_runs(&mut self, reply: &EntrypointReply) {
        let status = json!({"enum": ["running", "success", "error", "cancelled", "interrupted"]});
        let limit = json!({"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100});
        let list = json_response("The newest runs of the caller, without answers", "RunList");
        self.add(
            "/invocations",
            "get",
            json!({
                "tags": ["runs"],
                "summary": "Lists runs",
                "parameters": [
                    parameter("query", "limit", "The maximum number of runs", &limit),
                    parameter("query", "status", "Only runs with this status", &status),
                ],
                "responses": responses(json!({"200": list}), &[400, 403, 421]),
            }),
        );
        let state = json_response("The state, with the answer once there is one", "Run");
        for (method, summary) in [("get", "The state of a run"), ("delete", "Cancels a run")] {
            self.add(
                "/invocations/{id}",
                method,
                json!({
                    "tags": ["runs"],
                    "summary": summary,
                    "responses": responses(json!({"200": state.clone()}), &RUN_ERRORS),
                }),
            );
        }
        let event = json!({"type": "integer", "minimum": 0});
        let text = "The last event that the caller received; the stream begins after this event";
        self.add(
            "/invocations/{id}/events",
            "get",
            json!({
                "tags": ["runs"],
                "summary": "The event stream of a run, with ids and an end event",
                "parameters": [
                    parameter("header", "Last-Event-ID", text, &event),
                    parameter("query", "last_event_id", text, &event),
                ],
                "responses": responses(json!({"200": {
                    "description": "The events",
                    "content": {"text/event-stream": events(reply.has_items)},
                }}), &[400, 403, 404, 410, 421]),
            }),
        );
        self.add(
            "/invocations/{id}/response",
            "get",
            json!({
                "tags": ["runs"],
                "summary": "The answer of the invocation, once it has begun",
                "responses": responses(
                    json!({"200": reply.response()}),
                    &[400, 403, 404, 409, 410, 421, 500, 504],
                ),
            }),
        );
    }

    fn add_service(&mut self, about: &AboutService) {
        let healthy = json_response("The agent's status", "Ping");
        let unhealthy = json_response("The health check failed", "Ping");
        let mut ping = responses(json!({"200": healthy}), &READ_ERRORS);
        ping["500"] = unhealthy;
        self.add("/ping", "get", read("The health check", &ping));
        let any = |description: &str| {
            let content = json!({"application/json": {"schema": {"type": "object"}}});
            responses(
                json!({"200": {"description": description, "content": content}}),
                &READ_ERRORS,
            )
        };
        let mut index = any("What this service is");
        index["200"]["content"]["text/html"] = json!({"schema": {"type": "string"}});
        self.add("/", "get", read("What this service is", &index));
        let document = any("The document");
        self.add("/openapi.json", "get", read("This document", &document));
        if about.has_metrics {
            let text = json!({"schema": {"type": "string"}});
            let content = json!({"text/plain": text, "application/openmetrics-text": text});
            let metrics = json!({"200": {"description": "The metrics", "content": content}});
            let metrics = responses(metrics, &READ_ERRORS);
            let summary = "Metrics in the text formats of Prometheus and OpenMetrics";
            self.add("/metrics", "get", read(summary, &metrics));
        }
        if about.has_websocket {
            let socket = json!({"101": {"description": "The connection is a WebSocket now"}});
            let socket = responses(socket, &[400, 403, 421, 426, 500, 503]);
            self.add("/ws", "get", read("Opens a WebSocket", &socket));
        }
    }
}

/// The kinds of answers that the entrypoint has.
struct EntrypointReply {
    has_value: bool,
    has_items: bool,
}

impl EntrypointReply {
    fn response(&self) -> Value {
        let mut content = json!({});
        if self.has_value {
            content["application/json"] = json!({"schema": {"anyOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {"$ref": "#/components/schemas/Reply"},
            ]}});
        }
        if self.has_items {
            content["text/event-stream"] = events(true);
        }
        json!({
            "description": "The value in an envelope, or alone if the caller requests that; or an \
                event stream",
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": content,
        })
    }
}

/// Returns the content of an event stream. Before `OpenAPI` 3.2, `schema` describes each event.
fn events(has_items: bool) -> Value {
    let mut data = json!({"type": "string", "contentMediaType": "application/json"});
    if has_items {
        data["contentSchema"] = json!({"anyOf": [
            {"$ref": "#/components/schemas/Item"},
            {"$ref": "#/components/schemas/ErrorItem"},
            {"$ref": "#/components/schemas/End"},
        ]});
    }
    let text = json!({"type": "string"});
    let properties = json!({"data": data, "id": text.clone(), "event": text});
    json!({"schema": object(&[], &properties)})
}

fn info(about: &AboutService) -> Map<String, Value> {
    let agent = &about.agent;
    let version = match agent.version {
        "" => NO_VERSION,
        version => version,
    };
    let mut info = Map::new();
    info.insert("title".to_owned(), agent.name.into());
    info.insert("version".to_owned(), version.into());
    if !agent.description.is_empty() {
        info.insert("description".to_owned(), agent.description.into());
    }
    info
}

fn invoke(reply: &EntrypointReply) -> Value {
    let text = json!({"type": "string"});
    let header = |name, description, schema| parameter("header", name, description, &schema);
    let started = json_response(
        "The run has started; its state is at `Location`",
        "RunStarted",
    );
    json!({
        "tags": ["agent"],
        "summary": "Calls the agent",
        "parameters": [
            header("PPIO-Response-Format", "What the body of the answer is", json!({"enum": ["envelope", "value"]})),
            header("PPIO-Timeout", "The deadline, in seconds", json!({"type": "integer", "minimum": 1})),
            header("PPIO-On-Disconnect", "What happens when the caller disconnects", json!({"enum": ["cancel", "continue"]})),
            header("PPIO-Stream-Ids", "Whether a stream has ids and an end event", json!({"enum": ["true", "false"]})),
            header("Prefer", "`respond-async` answers immediately and continues without the caller", text.clone()),
            header("Idempotency-Key", "The same request with the same key runs once", json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})),
            header("X-Request-ID", "The id of the request", text.clone()),
            header("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id", "The session", text),
        ],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Request"}}},
        },
        "responses": responses(json!({"200": reply.response(), "202": started}), &INVOCATION_ERRORS),
    })
}

fn read(summary: &str, responses: &Value) -> Value {
    json!({"tags": ["service"], "summary": summary, "responses": responses})
}
