//! The errors of the protocol.

use std::fmt;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::failure::Failure;
use crate::exchange::json::{self, to_bytes};
use crate::exchange::rejection::Rejection;

/// An error of the protocol, with its message.
#[derive(Debug)]
pub(super) struct A2aError {
    kind: A2aErrorKind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum A2aErrorKind {
    InvalidJson,
    InvalidRequest,
    MethodNotFound,
    InvalidParams,
    Internal,
    TaskNotFound,
    TaskNotCancelable,
    UnsupportedOperation,
    VersionNotSupported,
    /// Tasks cannot be listed for a caller that cannot be distinguished from other callers.
    /// JSON-RPC has no code for this error.
    AnonymousList,
}

impl A2aErrorKind {
    /// Returns the code in JSON-RPC, the HTTP status and its name in REST, and the reason in both.
    fn codes(self) -> (i32, StatusCode, &'static str, &'static str) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::InvalidJson => (-32700, bad, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            Self::InvalidRequest => (-32600, bad, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            Self::MethodNotFound => (
                -32601,
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "METHOD_NOT_FOUND",
            ),
            Self::InvalidParams => (-32602, bad, "INVALID_ARGUMENT", "INVALID_PARAMS"),
            Self::Internal => (
                -32603,
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL",
                "INTERNAL_ERROR",
            ),
            Self::TaskNotFound => (-32001, StatusCode::NOT_FOUND, "NOT_FOUND", "TASK_NOT_FOUND"),
            Self::TaskNotCancelable => (-32002, bad, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
            Self::UnsupportedOperation => {
                (-32004, bad, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION")
            }
            Self::VersionNotSupported => {
                (-32009, bad, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED")
            }
            Self::AnonymousList => (
                -32600,
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "ANONYMOUS_LIST",
            ),
        }
    }
}

impl fmt::Display for A2aError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl A2aError {
    pub(super) fn new(kind: A2aErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn task_not_found(id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        let message =
            format!("no task {id:?} is kept here; it may have expired, or is another caller's");
        Self::new(A2aErrorKind::TaskNotFound, message)
    }

    /// Converts the failure of a request to an error of the protocol.
    pub(super) fn of(failure: &Failure) -> Self {
        let kind = match failure.error_type.as_str() {
            "InvalidJson" => A2aErrorKind::InvalidJson,
            "ValidationError" => A2aErrorKind::InvalidParams,
            "AnonymousList" => A2aErrorKind::AnonymousList,
            _ if failure.status < 500 => A2aErrorKind::InvalidRequest,
            _ => A2aErrorKind::Internal,
        };
        Self::new(kind, failure.message.clone())
    }

    /// Converts a rejection of the runtime to an error of the protocol.
    pub(super) fn of_rejection(rejection: Rejection) -> Self {
        Self::of(&Failure::of(&Error::from(rejection), ""))
    }

    /// Returns the body of a JSON-RPC response with the error.
    pub(super) fn rpc_body(&self, id: &Value) -> Bytes {
        let (code, _, _, reason) = self.kind.codes();
        to_bytes(&json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": code, "message": self.message, "data": [details(reason)]},
        }))
    }

    /// Returns the JSON-RPC response with the error. The status of the response is 200.
    pub(super) fn rpc_response(&self, id: &Value) -> Response {
        json::response(StatusCode::OK, self.rpc_body(id))
    }

    /// Converts the error to the error response of the REST binding.
    pub(super) fn into_rest(self) -> Error {
        let (_, status, name, reason) = self.kind.codes();
        let body = to_bytes(&json!({"error": {
            "code": status.as_u16(),
            "status": name,
            "message": self.message,
            "details": [details(reason)],
        }}));
        Error::new(status, self.message).with_body(body)
    }
}

fn details(reason: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "a2a-protocol.org",
    })
}
