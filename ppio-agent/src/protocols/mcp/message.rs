//! JSON-RPC messages and errors.

use serde_json::{Map, Value, json};

use crate::exchange::Exchange;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::rejection::Rejection;

/// A message of a client.
pub(super) enum RpcMessage {
    Request(RpcRequest),
    Notification {
        method: String,
        params: Map<String, Value>,
    },
    /// A response to a request of the server, although the server sends no requests.
    Response,
}

/// A request, which must be answered.
pub(super) struct RpcRequest {
    /// A string or an integer.
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

impl RpcMessage {
    /// Reads a message. For an invalid message, returns the error and the id for the response.
    pub(super) fn of(message: Value) -> Result<Self, (Value, JsonRpcError)> {
        let Value::Object(mut members) = message else {
            let error = JsonRpcError::invalid_request(format!(
                "the body is {}; send one JSON-RPC message",
                kind_of(&message)
            ));
            return Err((Value::Null, error));
        };
        let id = members.remove("id");
        // An error about a malformed message has the id of the message if there is one.
        let answered = id.clone().filter(is_id).unwrap_or_default();
        let refuse = |text: &str| Err((answered.clone(), JsonRpcError::invalid_request(text)));
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return refuse("the message has no `\"jsonrpc\": \"2.0\"`");
        }
        let method = match members.remove("method") {
            Some(Value::String(method)) => method,
            None if members.contains_key("result") || members.contains_key("error") => {
                return Ok(Self::Response);
            }
            _ => return refuse("`method` is not a string"),
        };
        let params = match members.remove("params") {
            Some(Value::Object(params)) => params,
            None => Map::new(),
            Some(_) => return refuse("`params` is not an object"),
        };
        match id {
            None => Ok(Self::Notification { method, params }),
            Some(id) if is_id(&id) => Ok(Self::Request(RpcRequest { id, method, params })),
            Some(_) => refuse("`id` is neither a string nor an integer"),
        }
    }
}

impl RpcRequest {
    /// Returns a member of `_meta`.
    pub(super) fn meta(&self, name: &str) -> Option<&Value> {
        self.params.get("_meta")?.get(name)
    }
}

/// Whether a value can be the id of a request or a progress token.
pub(super) fn is_id(value: &Value) -> bool {
    value.is_string() || value.is_i64() || value.is_u64()
}

/// Returns the members of an object that `json!` created.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Returns the kind of a JSON value, for an error text.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// An error of the protocol.
#[derive(Debug)]
pub(super) struct JsonRpcError {
    code: i32,
    message: String,
    data: Option<Value>,
}

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const HEADER_MISMATCH: i32 = -32020;
const UNSUPPORTED_VERSION: i32 = -32022;

impl JsonRpcError {
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(INVALID_REQUEST, message)
    }

    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(super) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(HEADER_MISMATCH, message)
    }

    pub(super) fn no_method(method: &str) -> Self {
        let method: String = method.chars().take(100).collect();
        let message = format!("the server has no method {method:?}");
        Self::new(METHOD_NOT_FOUND, message)
    }

    pub(super) fn unsupported_version(requested: &str, supported: &[&str]) -> Self {
        let requested: String = requested.chars().take(100).collect();
        let message = format!("protocol version {requested:?} is not supported");
        Self {
            data: Some(json!({"supported": supported, "requested": requested})),
            ..Self::new(UNSUPPORTED_VERSION, message)
        }
    }

    /// Returns the error of a request that the runtime refused.
    pub(super) fn of(failure: &Failure) -> Self {
        let code = match failure.error_type.as_str() {
            "InvalidJson" => PARSE_ERROR,
            _ if failure.status < 500 => INVALID_REQUEST,
            _ => INTERNAL_ERROR,
        };
        Self {
            data: Some(json!({"type": failure.error_type})),
            ..Self::new(code, failure.message.clone())
        }
    }

    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Returns the response to the request with this id, which is null if the id is not known.
    pub(super) fn to_json(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }

    /// Converts the JSON-RPC error into an error whose response has the JSON-RPC error as its body.
    pub(super) fn into_error(self, id: &Value) -> Error {
        let error_type = match self.code {
            METHOD_NOT_FOUND => "MethodNotFound",
            INVALID_PARAMS => "InvalidParams",
            HEADER_MISMATCH => "HeaderMismatch",
            UNSUPPORTED_VERSION => "UnsupportedProtocolVersion",
            _ => "InvalidRequest",
        };
        let body = crate::exchange::json::to_bytes(&self.to_json(id));
        let error = if self.code == METHOD_NOT_FOUND {
            Error::not_found(self.message)
        } else {
            Error::bad_request(self.message)
        };
        error.with_type(error_type).with_body(body)
    }
}

/// Why a request has no result.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request violates the protocol.
    ByProtocol(JsonRpcError),
    /// The runtime refused the request before the function was called.
    ByRuntime(Error),
}

impl Refusal {
    pub(super) fn into_error(self, exchange: &Exchange, id: &Value) -> Error {
        match self {
            Self::ByProtocol(error) => error.into_error(id),
            Self::ByRuntime(error) => {
                let failure = Failure::of(&error, exchange.request_id.as_str());
                let body = JsonRpcError::of(&failure).to_json(id);
                error.with_body(crate::exchange::json::to_bytes(&body))
            }
        }
    }

    pub(super) fn into_json(self, exchange: &Exchange, id: &Value) -> Value {
        match self {
            Self::ByProtocol(error) => error.to_json(id),
            Self::ByRuntime(error) => {
                let failure = Failure::of(&error, exchange.request_id.as_str());
                JsonRpcError::of(&failure).to_json(id)
            }
        }
    }
}

impl From<JsonRpcError> for Refusal {
    fn from(error: JsonRpcError) -> Self {
        Self::ByProtocol(error)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::ByRuntime(rejection.into())
    }
}
