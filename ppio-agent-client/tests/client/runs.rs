//! Runs that are detached, looked up by their id, read, waited for, cancelled and listed.

use ppio_agent_client::{Error, Run, RunStatus, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::client_of;
use crate::idempotency::honour_keys;

const INVOKE: &str = "agent POST /invocations";
const RUN: &str = "agent GET /invocations/r-1";
const EVENTS: &str = "agent GET /invocations/r-1/events";
const RESPONSE: &str = "agent GET /invocations/r-1/response";
const CANCEL: &str = "agent DELETE /invocations/r-1";

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    honour_keys(platform);
    client_of(platform).create_session("tmpl_1").await.unwrap()
}

fn accepted() -> Reply {
    let headers = [
        ("content-type", "application/json"),
        ("location", "/invocations/r-1"),
        ("preference-applied", "respond-async"),
        ("ppio-idempotency", "supported"),
        ("x-request-id", "r-1"),
    ];
    let body = json!({"id": "r-1", "status": "running"}).to_string();
    Reply::with_headers(202, &headers, &body)
}

fn events(body: &str) -> Reply {
    Reply::raw(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nppio-stream-ids: true\r\n\
         x-request-id: another\r\nconnection: close\r\n\r\n{body}"
    ))
    .close()
}

fn info(status: &str) -> Value {
    json!({
        "id": "r-1", "status": status, "started_at": "2026-01-01T00:00:00.000Z", "items": 3,
        "on_disconnect": "continue", "new": {"field": 1},
    })
}

async fn all(run: &Run, after: u64) -> Vec<Value> {
    let mut stream = run.stream_after(after).await.unwrap();
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item.unwrap());
    }
    items
}

#[tokio::test]
async fn a_detached_invocation_is_a_run() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::nothing().reset());
    platform.script(INVOKE, accepted());
    let run = session.invoke("go").detach().await.unwrap();
    assert_eq!(run.id(), "r-1");
    assert_eq!(run.session().sandbox_id(), session.sandbox_id());
    let requests = platform.requests(INVOKE);
    assert_eq!(requests.len(), 2, "sent again with the same key");
    for request in &requests {
        assert_eq!(request.header("prefer"), "respond-async");
        assert_eq!(
            request.header("idempotency-key"),
            requests[0].header("idempotency-key")
        );
    }

    // An agent that answers immediately has kept no run.
    let error = session.invoke("go").detach().await.unwrap_err();
    assert!(
        error.to_string().contains("responded immediately"),
        "{error}"
    );
    platform.script(INVOKE, Reply::json(422, &json!({"error": "no prompt"})));
    let error = session.invoke("go").detach().await.unwrap_err();
    assert_eq!(error.status(), Some(422));
}

#[tokio::test]
async fn an_agent_without_runs_is_not_invoked() {
    let platform = ScriptedPlatform::start().await;
    let session = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let error = session.invoke("go").detach().await.unwrap_err();
    assert!(error.to_string().contains("keeps no runs"), "{error}");
    let error = session.runs().await.unwrap_err();
    assert!(error.to_string().contains("keeps no runs"), "{error}");
    assert_eq!(platform.count(INVOKE), 0);
}

#[tokio::test]
async fn a_run_keeps_the_session_that_was_created_for_it() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let client = client_of(&platform);
    platform.script(INVOKE, accepted());
    let run = client.invoke_agent("tmpl_1", "go").detach().await.unwrap();
    assert_eq!(platform.live().len(), 1);
    let copy = run.clone();
    drop(run);
    assert_eq!(platform.live().len(), 1);
    drop(copy);
    platform.eventually_empty().await;

    platform.script(INVOKE, Reply::error(500, "no"));
    client
        .invoke_agent("tmpl_1", "go")
        .detach()
        .await
        .unwrap_err();
    platform.eventually_empty().await;
}

#[tokio::test]
async fn a_run_is_read_by_its_id_from_another_client() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    platform.add_sandbox("sb_1", "tmpl_1");
    let client = client_of(&platform);
    let session = client.get_session("sb_1").await.unwrap().unwrap();
    let run = session.run("r-1");

    for status in ["running", "success", "error", "cancelled", "interrupted"] {
        platform.script(RUN, Reply::json(200, &info(status)));
        assert_eq!(run.status().await.unwrap().as_str(), status);
    }
    let mut done = info("success");
    done["response"] =
        json!({"result": {"a": 1}, "status": "success", "duration": 2.5, "error": null});
    // Reads are repeated after a failure.
    platform.script(RUN, Reply::nothing().reset());
    platform.script(RUN, Reply::error(502, "not there"));
    platform.script(RUN, Reply::json(200, &done));
    let found = run.info().await.unwrap();
    assert_eq!((found.status, found.items), (RunStatus::Success, 3));
    assert_eq!(found.response.unwrap().result, Some(json!({"a": 1})));
    assert_eq!(found.on_disconnect.as_deref(), Some("continue"));

    platform.script(RUN, Reply::json(404, &json!({"error": "no run \"r-1\""})));
    let error = run.status().await.unwrap_err();
    assert_eq!(error.status(), Some(404));
    assert!(error.to_string().contains("no run \"r-1\""), "{error}");

    let sent = &platform.requests(RUN)[0];
    let session_header = "x-amzn-bedrock-agentcore-runtime-session-id";
    assert_eq!(sent.header(session_header), "sb_1");
}

#[tokio::test]
async fn the_stream_of_a_run_begins_anywhere_and_reconnects() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let run = session.run("r-1");
    let end = "event: end\ndata: {\"status\":\"success\",\"items\":3}\n\n";
    platform.script(EVENTS, Reply::nothing().reset());
    platform.script(EVENTS, events("id: 1\ndata: 1\n\nid: 2\ndata"));
    platform.script(
        EVENTS,
        events(&format!("id: 2\ndata: 2\n\nid: 3\ndata: 3\n\n{end}")),
    );
    assert_eq!(all(&run, 0).await, [json!(1), json!(2), json!(3)]);
    platform.script(EVENTS, events(&format!("id: 3\ndata: 3\n\n{end}")));
    assert_eq!(all(&run, 2).await, [json!(3)]);
    platform.script(EVENTS, events(end));
    assert_eq!(all(&run, 3).await, [Value::Null; 0]);
    let positions: Vec<_> = platform
        .requests(EVENTS)
        .iter()
        .map(|request| request.header("last-event-id").to_owned())
        .collect();
    assert_eq!(positions, ["0", "0", "1", "2", "3"]);

    // The request id of a run's stream is the run's id, not the id of the request.
    platform.script(EVENTS, events(end));
    assert_eq!(run.stream().await.unwrap().request_id(), "r-1");
    platform.script(EVENTS, Reply::json(410, &json!({"error": "gone"})));
    assert_eq!(run.stream().await.unwrap_err().status(), Some(410));
}

#[tokio::test]
async fn a_result_is_the_value_or_all_items() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let run = session.run("r-1");
    let value = "event: end\ndata: {\"status\":\"success\",\"items\":0,\"result\":{\"a\":1}}\n\n";
    let mut done = info("success");
    done["response"] =
        json!({"result": {"a": 1}, "status": "success", "duration": 2.5, "error": null});
    platform.script(EVENTS, events(value));
    platform.script(RUN, Reply::json(200, &done));
    let answer = run.result().await.unwrap();
    assert_eq!(answer.result, Some(json!({"a": 1})));
    assert!((answer.duration - 2.5).abs() < f64::EPSILON);

    // The agent has removed the run, or the answer of the run, after the end of the stream.
    for reply in [
        Reply::json(404, &json!({"error": "gone"})),
        Reply::json(200, &info("success")),
    ] {
        platform.script(EVENTS, events(value));
        platform.script(RUN, reply);
        let answer = run.result().await.unwrap();
        assert_eq!(answer.result, Some(json!({"a": 1})));
        assert_eq!(answer.request_id(), Some("r-1"));
    }

    let items =
        "id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nevent: end\ndata: {\"status\":\"success\"}\n\n";
    platform.script(EVENTS, events(items));
    assert_eq!(run.result().await.unwrap().result, Some(json!([1, 2])));

    platform.script(
        EVENTS,
        events("event: end\ndata: {\"status\":\"error\",\"error\":\"no model\"}\n\n"),
    );
    let error = run.result().await.unwrap_err();
    assert!(error.to_string().contains("no model"), "{error}");

    // If the agent's function builds its own response, that response is read.
    let own = "event: end\ndata: {\"status\":\"success\",\"items\":0,\"response_status\":201}\n\n";
    platform.script(EVENTS, events(own));
    platform.script(RESPONSE, Reply::nothing().reset());
    platform.script(RESPONSE, Reply::json(201, &json!({"own": true})));
    assert_eq!(
        run.result().await.unwrap().result,
        Some(json!({"own": true}))
    );
    platform.script(EVENTS, events(own));
    assert_eq!(all(&run, 0).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_run_is_cancelled_and_runs_are_listed() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(CANCEL, Reply::nothing().reset());
    platform.script(CANCEL, Reply::json(200, &info("cancelled")));
    let cancelled = session.run("r-1").cancel().await.unwrap();
    assert_eq!(cancelled.status, RunStatus::Cancelled);
    assert_eq!(platform.count(CANCEL), 2);

    let list = json!({"invocations": [info("running"), info("success")]});
    platform.script("agent GET /invocations", Reply::json(200, &list));
    let runs = session.runs().await.unwrap();
    let statuses: Vec<_> = runs.iter().map(|run| run.status.as_str()).collect();
    assert_eq!(statuses, ["running", "success"]);
    let target = &platform.requests("agent GET /invocations")[0].target;
    assert_eq!(target, "/invocations?limit=10000");
    platform.script("agent GET /invocations", Reply::json(200, &list));
    let list = session.runs().status(RunStatus::Running).limit(7);
    list.header("authorization", "Bearer sesame").await.unwrap();
    let request = &platform.requests("agent GET /invocations")[1];
    assert_eq!(request.target, "/invocations?limit=7&status=running");
    assert_eq!(request.header("authorization"), "Bearer sesame");
}

/// An agent that checks its callers also checks them for each call about a run.
#[tokio::test]
async fn calls_about_a_run_have_the_headers_of_its_invocation() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let sesame = ("authorization", "Bearer sesame");
    let call = |session: &SandboxSession| {
        let call = session.invoke("go").header(sesame.0, sesame.1);
        call.header("x-tenant", "7").header("prefer", "wait=5")
    };
    let sent = |route: &str| platform.requests(route).pop().unwrap();
    let is_authorized = |route: &str| {
        let request = sent(route);
        assert_eq!(request.header("authorization"), sesame.1, "{route}");
        assert_eq!(request.header("x-tenant"), "7", "{route}");
        assert_eq!(request.header("prefer"), "", "{route}");
        assert_eq!(request.header("idempotency-key"), "", "{route}");
    };

    platform.script(INVOKE, accepted());
    let run = call(&session).header("prefer", "respond-async");
    let run = run.detach().await.unwrap();
    platform.script(RUN, Reply::json(200, &info("running")));
    run.status().await.unwrap();
    is_authorized(RUN);
    let end = "event: end\ndata: {\"status\":\"success\"}\n\n";
    platform.script(EVENTS, events("id: 1\ndata: 1\n\n"));
    platform.script(EVENTS, events(end));
    assert_eq!(all(&run, 0).await, [json!(1)]);
    is_authorized(EVENTS);
    platform.script(CANCEL, Reply::json(200, &info("cancelled")));
    run.cancel().await.unwrap();
    is_authorized(CANCEL);

    let cut = Reply::raw(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nppio-stream-ids: true\r\n\
         x-request-id: r-1\r\n\r\nid: 1\ndata: 1\n\n",
    );
    platform.script(INVOKE, cut.close());
    platform.script(EVENTS, events(end));
    let mut stream = call(&session).resumable().stream().await.unwrap();
    while stream.next().await.is_some() {}
    assert_eq!(platform.count(EVENTS), 3);
    is_authorized(EVENTS);

    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    drop(call(&session).stream().await.unwrap());
    let id = sent(INVOKE).header("x-request-id").to_owned();
    let route = format!("agent DELETE /invocations/{id}");
    platform
        .eventually("the cancellation", |platform| platform.count(&route) == 1)
        .await;
    is_authorized(&route);

    // A run that is looked up by its id has the headers that the caller adds.
    let found = session.run("r-1").header(sesame.0, sesame.1).unwrap();
    let found = found.header("x-tenant", "7").unwrap();
    platform.script(RUN, Reply::json(200, &info("running")));
    found.status().await.unwrap();
    is_authorized(RUN);
    let error = session.run("r-1").header("host", "evil").unwrap_err();
    assert!(matches!(error, Error::Validation { .. }), "{error}");
}

#[tokio::test]
async fn the_id_of_a_run_stays_within_its_path() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for id in ["", ".", ".."] {
        let error = session.run(id).status().await.unwrap_err();
        assert!(matches!(error, Error::Validation { .. }), "{error}");
        session.run(id).stream().await.unwrap_err();
        session.run(id).cancel().await.unwrap_err();
    }
    platform.script(
        "agent GET /invocations/..%2Fping%3Fa%23%0D%0Ab",
        Reply::json(404, &json!({"error": "unknown"})),
    );
    let error = session.run("../ping?a#\r\nb").status().await.unwrap_err();
    assert_eq!(error.status(), Some(404));
}
