//! The default behaviour of the platform, for requests without a scripted reply.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reply::Reply;
use super::request::Recorded;
use super::{State, catalogue, daemon};

/// A running or paused sandbox.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptedSandbox {
    /// Its id.
    pub id: String,
    /// The id of its template.
    pub template_id: String,
    /// Whether it is paused.
    pub paused: bool,
    /// The timeout that was set last, in seconds.
    pub timeout: u64,
    /// How often its timeout was set after its creation.
    pub timeout_updates: usize,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its environment variables.
    pub env_vars: BTreeMap<String, String>,
}

impl ScriptedSandbox {
    pub(super) fn running(id: &str, template_id: &str) -> Self {
        Self {
            id: id.to_owned(),
            template_id: template_id.to_owned(),
            paused: false,
            timeout: 300,
            timeout_updates: 0,
            metadata: BTreeMap::new(),
            env_vars: BTreeMap::new(),
        }
    }

    fn detail(&self, domain: &str) -> Value {
        json!({
            "sandboxID": self.id, "templateID": self.template_id, "clientID": "c",
            "state": if self.paused { "paused" } else { "running" },
            "startedAt": "2026-01-01T00:00:00Z", "endAt": "2026-01-01T00:05:00Z",
            "metadata": self.metadata, "domain": domain,
        })
    }

    fn sandbox(&self, domain: &str) -> Value {
        json!({
            "sandboxID": self.id, "templateID": self.template_id, "clientID": "c",
            "envdVersion": "0.5.7", "domain": domain,
            "envdAccessToken": format!("envd-token-{}", self.id),
        })
    }
}

/// Returns the `agent.yaml`, as JSON, of an agent that needs no start command.
pub(super) fn agent(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Agent",
        "metadata": { "name": name, "version": "1.0.0", "author": "dev@example.com" },
        "spec": { "runtime": { "timeout": 10 } },
    })
}

pub(super) fn template(id: &str, document: &Value) -> Value {
    json!({
        "templateID": id, "buildID": "b", "names": [id], "aliases": [format!("{id}-alias")],
        "public": false, "buildStatus": "ready",
        "metadata": { "agent_runtime": document.to_string() },
    })
}

pub(super) fn respond(state: &mut State, request: &Recorded) -> Reply {
    let domain = state.domain.clone();
    let body = request.json();
    let id = request.sandbox_id.clone().unwrap_or_default();
    if let Some(reply) = catalogue::respond(state, request) {
        return reply;
    }
    if request.route.starts_with("agent ") || request.route.starts_with("envd ") {
        return match state.sandboxes.iter().find(|sandbox| sandbox.id == id) {
            Some(sandbox) if !sandbox.paused => inside(request, &body),
            _ => Reply::error(502, "the sandbox is not running"),
        };
    }
    let index = state.sandboxes.iter().position(|sandbox| sandbox.id == id);
    let timeout = body["timeout"]
        .as_u64()
        .or(body["duration"].as_u64())
        .unwrap_or(15);
    match request.route.as_str() {
        "POST /sandboxes" => create(state, &body, timeout),
        "GET /v2/sandboxes" | "GET /sandboxes" => list(state, request),
        "GET /templates" => Reply::json(200, &json!(state.templates)),
        route if route.contains("/sandboxes/{id}") => {
            let Some(index) = index else {
                return Reply::error(404, "no such sandbox");
            };
            let sandbox = &mut state.sandboxes[index];
            match route {
                "GET /sandboxes/{id}" => Reply::json(200, &sandbox.detail(&domain)),
                "DELETE /sandboxes/{id}" => {
                    state.sandboxes.remove(index);
                    no_content()
                }
                "POST /sandboxes/{id}/timeout" | "POST /sandboxes/{id}/refreshes" => {
                    sandbox.timeout = timeout;
                    sandbox.timeout_updates += 1;
                    no_content()
                }
                "POST /sandboxes/{id}/pause" if sandbox.paused => {
                    Reply::error(409, "already paused")
                }
                "POST /sandboxes/{id}/pause" => {
                    sandbox.paused = true;
                    no_content()
                }
                "POST /sandboxes/{id}/resume" if !sandbox.paused => Reply::error(409, "running"),
                "POST /sandboxes/{id}/resume" | "POST /sandboxes/{id}/connect" => {
                    let status = if sandbox.paused { 201 } else { 200 };
                    sandbox.paused = false;
                    sandbox.timeout = timeout;
                    Reply::json(status, &sandbox.sandbox(&domain))
                }
                _ => Reply::error(404, "no such route"),
            }
        }
        _ => Reply::error(404, "no such route"),
    }
}

fn create(state: &mut State, body: &Value, timeout: u64) -> Reply {
    let template_id = body["templateID"].as_str().unwrap_or_default();
    let known = state.templates.iter().any(|template| {
        template["templateID"] == template_id
            || template["aliases"]
                .as_array()
                .is_some_and(|all| all.contains(&json!(template_id)))
    });
    if !known {
        return Reply::error(404, "no such template");
    }
    let map = |key: &str| serde_json::from_value(body[key].clone()).unwrap_or_default();
    let made = state
        .requests
        .iter()
        .filter(|request| request.route == "POST /sandboxes")
        .count();
    let sandbox = ScriptedSandbox {
        id: format!("sb{made}"),
        template_id: template_id.to_owned(),
        paused: false,
        timeout,
        timeout_updates: 0,
        metadata: map("metadata"),
        env_vars: map("envVars"),
    };
    let reply = Reply::json(201, &sandbox.sandbox(&state.domain));
    state.sandboxes.push(sandbox);
    reply
}

/// Returns a page of at most two sandboxes, so that tests with more sandboxes exercise the paging.
fn list(state: &State, request: &Recorded) -> Reply {
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    let start: usize = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("nextToken="))
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let matching: Vec<_> = state
        .sandboxes
        .iter()
        .filter(|sandbox| {
            // `metadata=k%3Dv`: ids that consist of hexadecimal digits contain no other characters
            // that are encoded.
            let wanted = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("metadata="));
            wanted.is_none_or(|wanted| {
                wanted.split("%26").all(|pair| {
                    pair.split_once("%3D").is_some_and(|(key, value)| {
                        sandbox
                            .metadata
                            .get(key)
                            .is_some_and(|found| found == value)
                    })
                })
            })
        })
        .collect();
    let page: Vec<_> = matching
        .iter()
        .skip(start)
        .take(2)
        .map(|sandbox| sandbox.detail(&state.domain))
        .collect();
    let next = (start + 2).to_string();
    let mut headers = vec![("content-type", "application/json")];
    if matching.len() > start + 2 {
        headers.push(("x-next-token", next.as_str()));
    }
    Reply::with_headers(200, &headers, &json!(page).to_string())
}

fn inside(request: &Recorded, body: &Value) -> Reply {
    match request.route.as_str() {
        "agent GET /ping" => Reply::json(200, &json!({ "status": "Healthy" })),
        "agent POST /invocations" => Reply::json(
            200,
            &json!({
                "result": body, "status": "success", "duration": 0.01, "error": null,
                "metadata": { "request_id": request.header("x-request-id") },
            }),
        ),
        _ => daemon::respond(request),
    }
}

fn no_content() -> Reply {
    Reply::raw("HTTP/1.1 204 No Content\r\n\r\n")
}
