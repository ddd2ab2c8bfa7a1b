//! envd with constant replies, as far as the documentation examples need it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::Recorded;

pub(super) fn respond(request: &Recorded) -> Reply {
    match request.route.trim_start_matches("envd ") {
        "GET /health" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        "GET /files" => Reply::body(200, "application/octet-stream", "127.0.0.1 localhost\n"),
        "POST /files" => Reply::json(200, &json!([entry("dir/note.txt")])),
        "POST /process.Process/Start" => process(&echoed(&request.body)),
        "POST /process.Process/Connect" => process("hello\n"),
        "POST /process.Process/List" => Reply::json(200, &json!({"processes": [{"pid": 42}]})),
        "POST /filesystem.Filesystem/ListDir" => {
            Reply::json(200, &json!({"entries": [entry("app/agent.py")]}))
        }
        "POST /filesystem.Filesystem/WatchDir" => messages(&[
            json!({"start": {}}),
            json!({"keepalive": {}}),
            json!({"filesystem": {"name": "new.txt", "type": "EVENT_TYPE_CREATE"}}),
        ]),
        route if route.starts_with("POST /filesystem.Filesystem/") => {
            Reply::json(200, &json!({"entry": entry("app/agent.py")}))
        }
        route if route.starts_with("POST /process.Process/") => Reply::json(200, &json!({})),
        _ => Reply::error(404, "no such route"),
    }
}

fn entry(path: &str) -> Value {
    let name = path.rsplit('/').next();
    json!({
        "name": name, "path": format!("/{path}"), "type": "FILE_TYPE_FILE", "size": "20",
        "mode": 0o644, "permissions": "-rw-r--r--",
    })
}

/// Returns the output of an `echo` in the last argument of a command.
fn echoed(envelope: &[u8]) -> String {
    let message: Value = envelope
        .get(5..)
        .and_then(|message| serde_json::from_slice(message).ok())
        .unwrap_or_default();
    let line = message["process"]["args"][2].as_str().unwrap_or_default();
    match line.strip_prefix("echo ") {
        Some(text) => format!("{text}\n"),
        None => String::new(),
    }
}

/// Returns the reply for a process that prints `stdout` and exits.
fn process(stdout: &str) -> Reply {
    messages(&[
        json!({"event": {"start": {"pid": 42}}}),
        json!({"event": {"data": {"stdout": STANDARD.encode(stdout)}}}),
        json!({"event": {"end": {"exitCode": 0, "exited": true}}}),
    ])
}

/// Returns a complete Connect stream of these messages.
fn messages(messages: &[Value]) -> Reply {
    let mut reply = Reply::chunked("application/connect+json");
    for message in messages {
        reply = reply.chunk(envelope(0, message));
    }
    reply.chunk(envelope(2, &json!({}))).end()
}

fn envelope(flags: u8, message: &Value) -> Vec<u8> {
    let text = message.to_string();
    let length = u32::try_from(text.len()).expect("short");
    let mut bytes = vec![flags];
    bytes.extend(length.to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}
