//! Invalid requests about runs.

use super::support::{Scripted, request};
use crate::support::{config, get, invocation_with};

#[tokio::test]
async fn unknown_ids_and_ids_of_other_callers_are_a_404() {
    let agent = Scripted::start(config()).await;
    let session = "x-amzn-bedrock-agentcore-runtime-session-id";
    let owner = format!("{session}: s\r\nauthorization: Bearer a\r\n");
    let headers = format!("{owner}prefer: respond-async\r\nx-request-id: mine\r\n");
    let answer = agent.server.send(invocation_with(&headers, "1")).await;
    assert_eq!(answer.status, 202);
    let started = agent.started().await;
    let long = "x".repeat(5000);
    for (id, headers) in [
        ("none", ""),
        ("%00", ""),
        ("%2", ""),
        ("%ff%fe", ""),
        ("..", ""),
        ("mine%20", ""),
        ("MINE", ""),
        (&long, ""),
        // Requests without credentials, with other credentials, and from another session.
        ("mine", ""),
        ("mine", "authorization: Bearer b\r\n"),
        ("mine", &format!("{session}: t\r\n")),
        (
            "mine",
            &format!("{session}: t\r\nauthorization: Bearer a\r\n"),
        ),
    ] {
        for (method, below) in [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/events"),
            ("GET", "/response"),
        ] {
            let path = format!("/invocations/{id}{below}");
            let answer = agent.server.send(request(method, &path, headers)).await;
            let text = answer.error(404, "RunNotFound");
            assert!(text.len() < 300, "{text}");
        }
    }
    // The list does not contain the runs of other callers either.
    for headers in ["authorization: Bearer b\r\n", &format!("{session}: t\r\n")] {
        let list = agent
            .server
            .send(request("GET", "/invocations", headers))
            .await;
        assert_eq!(list.text(), r#"{"invocations":[]}"#);
    }
    for headers in [
        &owner,
        "authorization: Bearer a\r\n",
        &format!("{session}: s\r\n"),
    ] {
        let state = request("GET", "/invocations/mine", headers);
        assert_eq!(agent.server.send(state).await.json()["status"], "running");
    }
    started.item(1);
}

/// The command line sends the session of a sandbox with each call.
#[tokio::test]
async fn a_run_without_a_session_is_found_by_its_credential_from_a_session() {
    let agent = Scripted::start(config()).await;
    let start = "authorization: Bearer a\r\nprefer: respond-async\r\nx-request-id: r\r\n";
    let answer = agent.server.send(invocation_with(start, "1")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let session = "x-amzn-bedrock-agentcore-runtime-session-id: s\r\n";
    for (credentials, count) in [("Bearer a", 1), ("Bearer b", 0)] {
        let headers = format!("{session}authorization: {credentials}\r\n");
        let list = agent.server.send(request("GET", "/invocations", &headers));
        let list = list.await.json()["invocations"].clone();
        assert_eq!(list.as_array().map(Vec::len), Some(count), "{list}");
        let one = agent
            .server
            .send(request("GET", "/invocations/r", &headers));
        assert_eq!(one.await.status, if count == 1 { 200 } else { 404 });
    }
    agent.started().await.item(1);
}

#[tokio::test]
async fn anonymous_callers_can_read_a_run_by_id_but_not_list_runs() {
    let agent = Scripted::start(config()).await;
    let id = agent.detach("1").await;
    let refused = agent.server.send(get("/invocations")).await;
    let text = refused.error(403, "AnonymousList");
    assert!(text.contains("PPIO_AGENT_LIST_ANONYMOUS_RUNS"), "{text}");
    assert_eq!(agent.state(&id).await["status"], "running");
    for caller in [
        "authorization: Bearer a\r\n",
        "x-amzn-bedrock-agentcore-runtime-session-id: s\r\n",
    ] {
        let list = request("GET", "/invocations", caller);
        assert_eq!(agent.server.send(list).await.status, 200);
    }
}

#[tokio::test]
async fn an_invalid_last_event_id_is_a_400() {
    let agent = Scripted::start(config()).await;
    let id = agent.detach(r#"{"stream": true}"#).await;
    let started = agent.started().await;
    started.item(1);
    agent.has_items(&id, 1).await;
    let path = format!("/invocations/{id}/events");
    let long = "1".repeat(60_000);
    let huge = "9".repeat(30);
    for bad in [
        "2", "-1", "+1", "1.5", "1e3", "x", "0x1", "1 1", "", &huge, &long,
    ] {
        let header = format!("last-event-id: {bad}\r\n");
        let answer = agent.server.send(request("GET", &path, &header)).await;
        let text = answer.error(400, "InvalidLastEventId");
        assert!(text.len() < 300, "{text}");
        let query = format!("{path}?last_event_id={}", bad.replace(' ', "%20"));
        let answer = agent.server.send(get(&query)).await;
        answer.error(400, "InvalidLastEventId");
    }
    let twice = "last-event-id: 1\r\nlast-event-id: 1\r\n";
    let answer = agent.server.send(request("GET", &path, twice)).await;
    answer.error(400, "InvalidLastEventId");
    // hyper itself refuses headers of this size.
    let header = format!("last-event-id: {}\r\n", "1".repeat(1 << 20));
    let mut connection = agent.server.connect().await;
    let head = request("GET", &path, &header);
    let (beginning, _) = head.split_at(200_000);
    connection.write(beginning).await;
    assert_eq!(connection.head().await.status, 431);
    // None of these requests counted as a reader, and the run continues.
    started.item(2);
    started.end();
    agent.has_status(&id, "success").await;
}

#[tokio::test]
async fn invalid_options_are_a_400_and_start_no_invocation() {
    let agent = Scripted::start(config()).await;
    let long = "k".repeat(256);
    for (header, error) in [
        ("idempotency-key: ", "InvalidIdempotencyKey"),
        (&format!("idempotency-key: {long}"), "InvalidIdempotencyKey"),
        (
            "idempotency-key: a\r\nidempotency-key: b",
            "InvalidIdempotencyKey",
        ),
        ("idempotency-key: k\u{e9}", "InvalidIdempotencyKey"),
        ("ppio-on-disconnect: stop", "BadRequest"),
        ("ppio-on-disconnect: ", "BadRequest"),
        ("ppio-stream-ids: 1", "BadRequest"),
    ] {
        let headers = format!("{header}\r\n");
        let answer = agent.server.send(invocation_with(&headers, "1")).await;
        answer.error(400, error);
    }
    for query in [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=10001",
        "limit=",
        "status=done",
    ] {
        let answer = agent
            .server
            .send(get(&format!("/invocations?{query}")))
            .await;
        answer.error(400, "BadRequest");
    }
    assert_eq!(agent.calls(), 0);
    agent.server.assert_alive().await;
}

#[tokio::test]
async fn a_second_delete_changes_nothing() {
    let agent = Scripted::start(config()).await;
    let cancelled = agent.detach("1").await;
    let finished = agent.detach("1").await;
    let first = agent.started().await;
    agent.started().await.item("done");
    agent.has_status(&finished, "success").await;
    for (id, status) in [(cancelled, "cancelled"), (finished, "success")] {
        let delete = request("DELETE", &format!("/invocations/{id}"), "");
        let once = agent.server.send(&delete).await;
        let twice = agent.server.send(&delete).await;
        assert_eq!((once.status, twice.status), (200, 200));
        assert_eq!(once.json(), twice.json());
        assert_eq!(once.json()["status"], status);
    }
    first.wait_dropped().await;
}
