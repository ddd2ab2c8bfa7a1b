//! The process service.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect::{self, ConnectCall, ConnectCode, ConnectError};
use super::process_selector::{Pty, SelectedProcess, Selector, find};
use super::process_stream;
use crate::api::PathParameters;
use crate::sandbox::LocalSandbox;

#[derive(Debug, Deserialize)]
struct SignalRequest {
    process: Selector,
    signal: Value,
}

#[derive(Debug, Deserialize)]
struct InputRequest {
    process: Selector,
    input: ProcessInput,
}

#[derive(Debug, Deserialize)]
struct ProcessInput {
    #[serde(alias = "pty")]
    stdin: String,
}

#[derive(Debug, Deserialize)]
struct ProcessUpdateRequest {
    process: Selector,
    pty: Option<Pty>,
}

pub(super) async fn call(
    Extension(sandbox): Extension<Arc<LocalSandbox>>,
    PathParameters(method): PathParameters<String>,
    call: ConnectCall,
) -> Response {
    let streaming = call.is_streaming();
    let answer = match method.as_str() {
        "Start" => process_stream::start(&sandbox, &call),
        "Connect" => process_stream::connect(&sandbox, &call),
        _ => unary(&sandbox, &method, &call)
            .await
            .map(|value| Json(value).into_response()),
    };
    answer.unwrap_or_else(|error| connect::refuse(streaming, error))
}

async fn unary(
    sandbox: &LocalSandbox,
    method: &str,
    call: &ConnectCall,
) -> Result<Value, ConnectError> {
    match method {
        "List" => return Ok(list(sandbox)),
        "SendSignal" => {
            let request: SignalRequest = call.message()?;
            let signal = signal(&request.signal)?;
            find(sandbox, &request.process)?
                .signal(signal)
                .map_err(|error| {
                    ConnectError::new(ConnectCode::Internal, format!("failed to signal: {error}"))
                })?;
        }
        "SendInput" => {
            let request: InputRequest = call.message()?;
            let bytes = STANDARD
                .decode(&request.input.stdin)
                .map_err(|error| ConnectError::invalid(format!("input is not base64: {error}")))?;
            find(sandbox, &request.process)?
                .write(&bytes)
                .await
                .map_err(|error| {
                    ConnectError::new(
                        ConnectCode::FailedPrecondition,
                        format!("failed to write to the process: {error}"),
                    )
                })?;
        }
        "CloseStdin" => {
            let request: SelectedProcess = call.message()?;
            find(sandbox, &request.process)?.close_input().await;
        }
        "Update" => {
            let request: ProcessUpdateRequest = call.message()?;
            let process = find(sandbox, &request.process)?;
            if let Some(size) = request.pty.and_then(|pty| pty.size) {
                let terminal = process.terminal.as_ref().ok_or_else(|| {
                    ConnectError::new(
                        ConnectCode::FailedPrecondition,
                        "the process has no terminal to resize",
                    )
                })?;
                terminal.resize(size.cols, size.rows).map_err(|error| {
                    ConnectError::new(ConnectCode::Internal, format!("failed to resize: {error}"))
                })?;
            }
        }
        other => {
            return Err(ConnectError::new(
                ConnectCode::Unimplemented,
                format!("unknown method process.Process/{other}"),
            ));
        }
    }
    Ok(json!({}))
}

fn list(sandbox: &LocalSandbox) -> Value {
    let processes: Vec<_> = sandbox
        .processes
        .list()
        .iter()
        .map(|process| {
            let mut entry = json!({"pid": process.pid, "config": process.config});
            if let Some(tag) = &process.tag {
                entry["tag"] = json!(tag);
            }
            entry
        })
        .collect();
    json!({ "processes": processes })
}

/// Reads a signal. Proto3 JSON writes an enum by name or by number.
fn signal(value: &Value) -> Result<Signal, ConnectError> {
    match (value.as_str(), value.as_u64()) {
        (Some("SIGNAL_SIGTERM"), _) | (_, Some(15)) => Ok(Signal::TERM),
        (Some("SIGNAL_SIGKILL"), _) | (_, Some(9)) => Ok(Signal::KILL),
        _ => Err(ConnectError::invalid(format!("unknown signal {value}"))),
    }
}
