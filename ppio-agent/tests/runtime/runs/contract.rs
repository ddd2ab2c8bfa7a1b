//! The behaviour that callers of `/invocations/{id}` rely on.

use ppio::http::HeaderValue;
use ppio::{
    AgentRuntimeApp, Error, InvocationResponse, Next, OnDisconnect, Request, Response, Value, json,
};

use super::support::{
    Event, Scripted, Step, end, events, items, parse, request, responding, streaming,
};
use crate::support::{TestServer, config, echo, get, invocation_with, with_timeout};

const CONTINUE: &str = "ppio-on-disconnect: continue\r\n";
const WITH_IDS: &str = "ppio-on-disconnect: continue\r\nppio-stream-ids: true\r\n";

#[tokio::test]
async fn a_detached_invocation_is_found_by_its_id() {
    let agent = Scripted::start(config()).await;
    let headers = "prefer: respond-async\r\nx-request-id: order/7#a\r\n";
    let answer = agent.server.send(invocation_with(headers, "1")).await;
    assert_eq!(answer.status, 202);
    let location = answer.header("location").expect("a location").to_owned();
    assert_eq!(location, "/invocations/order%2F7%23a");
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let body = json!({"id": "order/7#a", "status": "running"});
    assert_eq!(answer.json(), body);

    let running = agent.server.send(get(&location)).await;
    assert_eq!(running.header("cache-control"), Some("no-store"));
    let running = running.json();
    assert_eq!(running["status"], "running");
    assert_eq!(running["on_disconnect"], "continue");
    assert_eq!(running["items"], 0);
    assert!(
        running["started_at"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z'))
    );
    assert!(running.get("ended_at").is_none() && running.get("response").is_none());

    agent.started().await.item(json!({"answer": 42}));
    let ended = agent.has_status("order%2F7%23a", "success").await;
    assert!(ended["ended_at"].as_str() >= running["started_at"].as_str());
    assert_eq!(ended["response"]["result"], json!({"answer": 42}));
    assert_eq!(ended["response"]["status"], "success");
    assert_eq!(ended["response"]["metadata"]["request_id"], "order/7#a");
    // `/response` returns the answer that a waiting `POST` would have received, in either format.
    let whole = agent
        .server
        .send(get(&format!("{location}/response")))
        .await;
    assert_eq!(whole.header("x-request-id"), Some("order/7#a"));
    assert_eq!(whole.json(), ended["response"]);
    let agent_core = "x-amzn-bedrock-agentcore-runtime-request-id: r\r\n";
    let bare = request("GET", &format!("{location}/response"), agent_core);
    assert_eq!(agent.server.send(bare).await.json(), json!({"answer": 42}));
    // A value has no items.
    let result = json!({"status": "success", "items": 0, "result": {"answer": 42}});
    assert_eq!(agent.events("order%2F7%23a", 0).await, [Event::End(result)]);
}

/// See google/adk-python #4029: the run was cancelled when its caller disconnected.
#[tokio::test]
async fn adk_python_4029_an_invocation_continues_after_its_caller_disconnects() {
    let agent = Scripted::start(config()).await;
    let mut caller = agent.server.connect().await;
    caller.write(streaming(WITH_IDS)).await;
    let started = agent.started().await;
    started.item(1);
    started.item(2);
    let head = caller.head().await;
    assert_eq!(head.header("ppio-stream-ids"), Some("true"));
    let id = head.header("x-request-id").expect("an id").to_owned();
    let mut read = String::new();
    while parse(&read).len() < 2 {
        let chunk = caller.chunk().await.expect("an item");
        read.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(parse(&read), items(1, [json!(1), json!(2)]));
    drop(caller);
    started.item(3);
    agent.has_items(&id, 3).await;
    started.end();
    let rest = [items(3, [json!(3)]), vec![end("success", 3)]].concat();
    assert_eq!(agent.events(&id, 2).await, rest);
    // The last id may also be in the query, and the stream can be read again from the start.
    let path = format!("/invocations/{id}/events?last_event_id=2");
    assert_eq!(events(&agent.server.send(get(&path)).await), rest);
    assert_eq!(agent.events(&id, 0).await.len(), 4);
    assert_eq!(agent.events(&id, 3).await, [end("success", 3)]);
}

/// See vercel/ai #6502: a resumed stream had no way to stop the work behind it.
#[tokio::test]
async fn vercel_ai_6502_a_resumed_stream_can_be_stopped() {
    let agent = Scripted::start(config()).await;
    // Two callers: one without ids, and one that resumes.
    let mut plain = agent.server.connect().await;
    plain.write(streaming(CONTINUE)).await;
    let started = agent.started().await;
    started.item("a");
    let id = plain
        .head()
        .await
        .header("x-request-id")
        .unwrap()
        .to_owned();
    assert_eq!(plain.chunk().await.unwrap(), b"data: \"a\"\n\n");
    let mut resumed = agent.server.connect().await;
    let events_path = format!("/invocations/{id}/events");
    resumed.write(get(&events_path)).await;
    resumed.head().await;
    assert_eq!(resumed.chunk().await.unwrap(), b"id: 1\ndata: \"a\"\n\n");

    let stop = request("DELETE", &format!("/invocations/{id}"), "");
    let stopped = agent.server.send(&stop).await.json();
    assert_eq!(stopped["status"], "cancelled");
    assert_eq!(stopped["response"]["error_type"], "Cancelled");
    started.wait_dropped().await;
    let last = plain.events().await.expect("an event");
    assert_eq!(last[0]["error_type"], "Cancelled");
    assert_eq!(plain.chunk().await, None);
    let last = resumed.chunk().await.expect("an event");
    let Event::End(end) = &parse(std::str::from_utf8(&last).unwrap())[0] else {
        panic!("expected an end event");
    };
    assert_eq!(
        (&end["status"], &end["error_type"]),
        (&json!("cancelled"), &json!("Cancelled"))
    );
    assert_eq!(resumed.chunk().await, None);
    // A second cancellation changes nothing, and the metrics count one cancelled invocation.
    assert_eq!(agent.server.send(&stop).await.json(), stopped);
    agent.server.idle().await;
    let cancelled = agent
        .server
        .metric("invocations_total{outcome=\"cancelled\"}")
        .await;
    assert_eq!(cancelled, 1);
}

/// See a2aproject/a2a-python #296 and #464: after a disconnect the task ended, or a second
/// subscriber took the events of the first.
#[tokio::test]
async fn a2a_python_296_and_464_every_reader_gets_every_item() {
    let agent = Scripted::start(config()).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    started.item(1);
    agent.has_items(&id, 1).await;
    let mut readers = Vec::new();
    for after in [0, 0, 1] {
        let mut reader = agent.server.connect().await;
        let path = format!("/invocations/{id}/events?last_event_id={after}");
        reader.write(get(&path)).await;
        readers.push((reader, after));
    }
    // Another client disconnects.
    drop(agent.server.connect().await);
    for number in 2..50 {
        started.item(number);
    }
    started.end();
    for (mut reader, after) in readers {
        let got = events(&reader.answer().await);
        let numbers = (after + 1..50).map(Value::from);
        let expected = [items(after + 1, numbers), vec![end("success", 49)]].concat();
        assert_eq!(got, expected);
    }
}

/// See mastra-ai/mastra #22096: an answer was lost when the page was refreshed before the answer
/// was complete.
#[tokio::test]
async fn mastra_22096_a_refreshed_page_finds_the_answer() {
    let agent = Scripted::start(config().on_disconnect(OnDisconnect::Continue)).await;
    let mut page = agent.server.connect().await;
    page.write(invocation_with("x-request-id: turn-1\r\n", "1"))
        .await;
    let started = agent.started().await;
    drop(page);
    let mut refreshed = agent.server.connect().await;
    refreshed.write(get("/invocations/turn-1/response")).await;
    started.item("the answer");
    assert_eq!(refreshed.answer().await.result(), "the answer");
    assert_eq!(agent.calls(), 1);
}

/// See e2b-dev/E2B #1658: after a network change the stream of a running command could not be
/// attached to again.
#[tokio::test]
async fn e2b_1658_a_stream_is_resumed_after_a_connection_reset() {
    let agent = Scripted::start(config()).await;
    let mut caller = agent.server.connect().await;
    caller.write(streaming(WITH_IDS)).await;
    let started = agent.started().await;
    started.item("before");
    let id = caller
        .head()
        .await
        .header("x-request-id")
        .unwrap()
        .to_owned();
    caller.chunk().await;
    // The connection is reset instead of closed in an orderly way.
    caller.stream.set_zero_linger().expect("a reset");
    drop(caller);
    started.item("meanwhile");
    started.end();
    let rest = [items(2, [json!("meanwhile")]), vec![end("success", 2)]].concat();
    assert_eq!(agent.events(&id, 1).await, rest);
}

#[tokio::test]
async fn a_kept_stream_without_ids_has_the_same_bytes_as_an_ordinary_stream() {
    let agent = Scripted::start(config()).await;
    for failing in [false, true] {
        let mut bodies = Vec::new();
        let key = format!("idempotency-key: {failing}\r\n");
        for headers in ["", CONTINUE, &key] {
            let mut caller = agent.server.connect().await;
            caller.write(streaming(headers)).await;
            let started = agent.started().await;
            started.item(json!({"text": "\u{2028}\n"}));
            started.item(2);
            let last = if failing { Step::Fail } else { Step::End };
            started.steps.send(last).ok();
            let answer = caller.answer().await;
            assert_eq!(answer.header("ppio-stream-ids"), None);
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            bodies.push(answer.text().to_owned());
        }
        assert_eq!(bodies[0], bodies[1]);
        assert_eq!(bodies[0], bodies[2]);
    }
}

#[tokio::test]
async fn an_error_is_kept_with_its_status() {
    let agent = Scripted::start(config()).await;
    let id = agent.detach("1").await;
    agent.started().await.steps.send(Step::Fail).ok();
    let state = agent.has_status(&id, "error").await;
    assert_eq!(state["response"]["error_type"], "Scripted");
    let answer = agent
        .server
        .send(get(&format!("/invocations/{id}/response")))
        .await;
    assert_eq!(answer.error(500, "Scripted"), "a scripted failure");
    let failed = json!({
        "status": "error", "items": 0,
        "error": "a scripted failure", "error_type": "Scripted",
    });
    assert_eq!(agent.events(&id, 0).await, [Event::End(failed)]);
    // If a stream fails after some items, these are kept as well.
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    started.item(1);
    started.steps.send(Step::Fail).ok();
    agent.has_status(&id, "error").await;
    let all = agent.events(&id, 0).await;
    assert_eq!(all[..1], items(1, [json!(1)]));
    assert!(matches!(&all[1], Event::End(end) if end["error_type"] == "Scripted"));
}

#[tokio::test]
async fn a_user_response_is_kept_with_its_status_and_headers() {
    let respond = responding();
    let app = AgentRuntimeApp::builder()
        .config(config().on_disconnect(OnDisconnect::Continue))
        .entrypoint(move |request: Value| respond(request))
        .build();
    let server = TestServer::start(app).await;
    for (request, body) in [("\"whole\"", "whole"), ("\"parts\"", "one\n\ntwo")] {
        let first = server.invoke(request).await;
        let id = first.header("x-request-id").expect("an id");
        let again = server
            .send(get(&format!("/invocations/{id}/response")))
            .await;
        for answer in [&first, &again] {
            assert_eq!((answer.status, answer.text()), (201, body));
            assert_eq!(answer.header("content-type"), Some("text/x-own"));
        }
        let state = server.send(get(&format!("/invocations/{id}"))).await.json();
        assert_eq!(state["response_status"], 201);
        assert_eq!(
            (&state["status"], &state["items"]),
            (&json!("success"), &json!(0))
        );
        let all = server.send(get(&format!("/invocations/{id}/events"))).await;
        let last = json!({"status": "success", "items": 0, "response_status": 201});
        assert_eq!(events(&all), [Event::End(last)]);
    }
    // A body that fails cuts its connection, as without a run.
    let mut caller = server.connect().await;
    let cut = invocation_with("x-request-id: cut\r\n", "\"cut\"");
    caller.write(cut).await;
    let rest = String::from_utf8(caller.rest().await).unwrap();
    assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    let state = server.send(get("/invocations/cut")).await.json();
    assert_eq!(state["response"]["error_type"], "ResponseCut");
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let agent = Scripted::start(config().list_anonymous_runs(true)).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, agent.detach("1").await);
    }
    let list = async |query: &str| {
        let answer = agent
            .server
            .send(get(&format!("/invocations{query}")))
            .await;
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let list = answer.json()["invocations"].clone();
        let ids = list.as_array().expect("a list").iter();
        ids.map(|run| run["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("").await, ids);
    assert_eq!(list("?limit=2").await, ids[..2]);
    let oldest = agent.started().await;
    oldest.item(1);
    agent.has_status(&ids[2], "success").await;
    assert_eq!(list("?status=success").await, ids[2..]);
    assert_eq!(list("?status=running&limit=1").await, ids[..1]);
    assert_eq!(list("?status=interrupted").await, [""; 0]);
}

#[tokio::test]
async fn a_request_id_in_use_is_replaced_for_a_new_run() {
    let agent = Scripted::start(config()).await;
    let headers = "prefer: respond-async\r\nx-request-id: taken\r\n";
    let first = agent.server.send(invocation_with(headers, "1")).await;
    let second = agent.server.send(invocation_with(headers, "2")).await;
    assert_eq!(first.header("x-request-id"), Some("taken"));
    let id = second.header("x-request-id").expect("an id").to_owned();
    assert_ne!(id, "taken");
    assert_eq!(second.json()["id"], id.as_str());
    agent.started().await.item("first");
    agent.started().await.item("second");
    for (id, result) in [("taken", "first"), (&id, "second")] {
        let state = agent.has_status(id, "success").await;
        assert_eq!(state["response"]["result"], result);
        assert_eq!(state["response"]["metadata"]["request_id"], id);
    }
}

#[tokio::test]
async fn middleware_and_cors_apply_to_every_route_of_a_run() {
    async fn auth(request: Request, next: Next) -> Result<Response, Error> {
        let token = request.headers().get("authorization");
        if token.is_none_or(|token| token != "Bearer sesame") {
            return Err(Error::unauthorized("send the token"));
        }
        let mut response = next.run(request).await;
        let seen = HeaderValue::from_static("yes");
        response.headers_mut().insert("x-seen", seen);
        Ok(response)
    }
    let app = AgentRuntimeApp::builder()
        .config(config())
        .middleware(auth)
        .entrypoint(|request: Value| async { request })
        .build();
    let server = TestServer::start(app).await;
    let token = "authorization: Bearer sesame\r\n";
    let key = format!("{token}idempotency-key: k\r\n");
    let answer = server.send(invocation_with(&key, "1")).await;
    let id = answer.header("x-request-id").expect("an id");
    for (method, path) in [
        ("GET", "/invocations".to_owned()),
        ("GET", format!("/invocations/{id}")),
        ("GET", format!("/invocations/{id}/events")),
        ("GET", format!("/invocations/{id}/response")),
        ("DELETE", format!("/invocations/{id}")),
    ] {
        let refused = server.send(request(method, &path, "")).await;
        refused.error(401, "Unauthorized");
        let answer = server.send(request(method, &path, token)).await;
        assert_eq!(
            (answer.status, answer.header("x-seen")),
            (200, Some("yes")),
            "{path}"
        );
    }
    assert_eq!(server.send(get("/ping")).await.status, 200);

    let server = TestServer::start(echo(config())).await;
    let page = "origin: https://a.example\r\n";
    let own = "origin: http://localhost:3000\r\n";
    let answer = server
        .send(invocation_with(
            &format!("{own}idempotency-key: k\r\n"),
            "1",
        ))
        .await;
    let exposed = answer.header("access-control-expose-headers");
    assert!(exposed.is_some_and(|names| names.contains("ppio-idempotency")));
    let id = answer.header("x-request-id").expect("an id");
    let path = format!("/invocations/{id}");
    let foreign = server.send(request("DELETE", &path, page)).await;
    foreign.error(403, "OriginNotAllowed");
    let preflight = format!("{own}access-control-request-method: DELETE\r\n");
    let allowed = server.send(request("OPTIONS", &path, &preflight)).await;
    let methods = allowed.header("access-control-allow-methods");
    assert_eq!(methods, Some("GET, HEAD, DELETE, OPTIONS"));
}

#[tokio::test]
async fn an_idle_stream_of_a_run_has_heartbeats() {
    let heartbeat = std::time::Duration::from_millis(20);
    let agent = Scripted::start(config().heartbeat(heartbeat)).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let mut reader = agent.server.connect().await;
    reader
        .write(get(&format!("/invocations/{id}/events")))
        .await;
    reader.head().await;
    let started = agent.started().await;
    with_timeout("two comments", async {
        for _ in 0..2 {
            assert_eq!(reader.chunk().await.unwrap(), b": keep-alive\n\n");
        }
    })
    .await;
    started.end();
}

#[tokio::test]
async fn a_kept_value_is_sent_in_the_format_of_each_caller() {
    let app = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: Value| async {
            let mut response = InvocationResponse::success(request);
            response.tokens_used = Some(7);
            response
        })
        .build();
    let server = TestServer::start(app).await;
    let key = "idempotency-key: k\r\nx-request-id: r\r\n";
    let first = server.send(invocation_with(key, "1")).await;
    assert_eq!(first.json()["tokens_used"], 7);
    for (headers, has_envelope, announced) in [
        ("", true, None),
        ("ppio-response-format: envelope\r\n", true, Some("envelope")),
        ("ppio-response-format: value\r\n", false, Some("value")),
        (
            "x-amzn-bedrock-agentcore-runtime-request-id: a\r\n",
            false,
            None,
        ),
    ] {
        let replayed = server
            .send(invocation_with(&format!("{key}{headers}"), "1"))
            .await;
        let read = server
            .send(request("GET", "/invocations/r/response", headers))
            .await;
        for answer in [replayed, read] {
            assert_eq!(
                answer.header("ppio-response-format"),
                announced,
                "{headers}"
            );
            let expected = if has_envelope { &first.body[..] } else { b"1" };
            assert_eq!(answer.body, expected, "{headers}");
        }
    }
    let state = server.send(get("/invocations/r")).await.json();
    assert_eq!(state["response"], first.json());
}

#[tokio::test]
async fn the_callers_deadline_ends_a_kept_stream() {
    let agent = Scripted::start(config()).await;
    let mut caller = agent.server.connect().await;
    let headers = format!("{WITH_IDS}ppio-timeout: 1\r\nppio-response-format: value\r\n");
    caller.write(streaming(&headers)).await;
    let started = agent.started().await;
    started.item(1);
    let answer = caller.answer().await;
    assert_eq!(answer.header("ppio-response-format"), Some("events"));
    let all = events(&answer);
    assert_eq!(all[..1], items(1, [json!(1)]));
    assert!(
        matches!(&all[1], Event::End(end) if end["error_type"] == "Timeout"),
        "{all:?}"
    );
    started.wait_dropped().await;
}

#[tokio::test]
async fn inspected_runs_contain_the_request_and_the_times_of_the_items() {
    for inspects in [true, false] {
        let config = config().list_anonymous_runs(true).inspect_runs(inspects);
        let agent = Scripted::start(config).await;
        // The caller sends no headers about runs.
        let script = async {
            let started = agent.started().await;
            started.item("a");
            started.item(json!({"type": "usage", "input_tokens": 3, "output_tokens": 4}));
            started.end();
        };
        let body = r#"{"stream": true, "prompt": "hi"}"#;
        let (answer, ()) = tokio::join!(agent.server.send(invocation_with("", body)), script);
        assert!(
            answer.text().starts_with("data: \"a\"\n\n"),
            "{}",
            answer.text()
        );
        let list = agent.server.send(get("/invocations")).await.json();
        let runs = list["invocations"].as_array().expect("a list");
        assert_eq!(runs.len(), usize::from(inspects), "{list}");
        let Some(run) = runs.first() else { continue };
        let tokens = json!({"input_tokens": 3, "output_tokens": 4});
        assert_eq!((&run["summary"], &run["usage"]), (&json!("hi"), &tokens));
        assert_eq!(run.get("inspection"), None);
        let state = agent.state(run["id"].as_str().expect("an id")).await;
        let inspection = &state["inspection"];
        assert_eq!(
            inspection["request"],
            json!({"stream": true, "prompt": "hi"})
        );
        assert_eq!(inspection["item_times"][0][0], 1, "{state}");
    }
}

#[tokio::test]
async fn an_inspected_invocation_is_cancelled_with_its_caller() {
    let agent = Scripted::start(config().list_anonymous_runs(true).inspect_runs(true)).await;
    let mut caller = agent.server.connect().await;
    caller.write(streaming("x-request-id: left\r\n")).await;
    let started = agent.started().await;
    drop(caller);
    started.wait_dropped().await;
    agent.has_status("left", "cancelled").await;
}
