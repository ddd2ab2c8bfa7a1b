//! The control plane's answers about templates, builds, logs and metrics, as far as the
//! documentation examples need them.

use serde_json::{Value, json};

use super::State;
use super::reply::Reply;
use super::request::Recorded;

pub(super) fn respond(state: &State, request: &Recorded) -> Option<Reply> {
    let entry = json!({"timestamp": "2026-01-01T00:00:00Z", "level": "info", "message": "started"});
    let metric = json!({"timestamp": "2026-01-01T00:00:00Z", "cpuCount": 2, "memTotal": 1 << 30});
    let reply = match request.route.as_str() {
        "GET /v2/sandboxes/{id}/logs" => Reply::json(200, &json!({ "logs": [entry] })),
        "GET /sandboxes/{id}/logs" => Reply::json(200, &json!({ "logEntries": [entry] })),
        "GET /sandboxes/{id}/metrics" => Reply::json(200, &json!([metric])),
        "POST /v3/templates" => {
            let name = &request.json()["name"];
            let ticket = json!({"templateID": "tmpl_1", "buildID": "b", "names": [name]});
            Reply::json(202, &ticket)
        }
        "POST /templates/tags" => Reply::json(201, &json!({"buildID": "b"})),
        "DELETE /templates/tags" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"),
        "PUT /storage" => Reply::json(200, &json!({})),
        route => return template(state, route),
    };
    Some(reply)
}

/// Returns the reply to a call about one template.
fn template(state: &State, route: &str) -> Option<Reply> {
    let (method, path) = route.split_once(" /")?;
    let parts: Vec<_> = path.split('/').collect();
    let known = |id: &str| {
        state.templates.iter().find(|template| {
            let names = [&template["names"], &template["aliases"]];
            let mut names = names.into_iter().filter_map(Value::as_array).flatten();
            template["templateID"] == id || names.any(|name| name == id)
        })
    };
    let reply = match (method, parts.as_slice()) {
        ("GET", ["templates", id]) => Reply::json(200, known(id)?),
        ("DELETE", ["templates", id]) => {
            known(id)?;
            Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")
        }
        ("GET", ["templates", "aliases", alias]) => {
            Reply::json(200, &json!({ "templateID": known(alias)?["templateID"] }))
        }
        ("GET", ["templates", _, "tags"]) => {
            Reply::json(200, &json!([{"tag": "stable", "buildID": "b"}]))
        }
        ("GET", ["templates", _, "files", _]) => {
            let url = format!("http://{}/storage", state.domain);
            Reply::json(201, &json!({"present": false, "url": url}))
        }
        ("POST", ["v2", "templates", _, "builds", _]) => Reply::json(202, &json!({})),
        ("GET", ["templates", _, "builds", _, "status"]) => Reply::json(
            200,
            &json!({"status": "ready", "logEntries": [{"level": "error", "message": "none"}]}),
        ),
        _ => return None,
    };
    Some(reply)
}
