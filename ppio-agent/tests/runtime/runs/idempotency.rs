//! `Idempotency-Key`: a request that is sent several times runs once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ppio::{AgentRuntimeApp, Value, json};

use super::support::{Scripted, Step, end, events, items, request, streaming};
use crate::support::{Answer, Connection, TestServer, config, get, invocation_with, with_timeout};

const KEY: &str = "idempotency-key: k-1\r\n";

#[tokio::test]
async fn a_repeated_request_joins_the_run_or_gets_its_answer_again() {
    let agent = Scripted::start(config()).await;
    let ping = agent.server.send(get("/ping")).await;
    assert_eq!(ping.header("ppio-idempotency"), Some("supported"));
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut caller = agent.server.connect().await;
        caller.write(invocation_with(KEY, "{\"a\": 1}")).await;
        callers.push(caller);
    }
    let started = agent.started().await;
    started.item(json!("once"));
    let mut answers = Vec::new();
    for mut caller in callers {
        answers.push(caller.answer().await);
    }
    answers.push(agent.server.send(invocation_with(KEY, "{\"a\": 1}")).await);
    let id = answers[0].header("x-request-id");
    for answer in &answers {
        assert_eq!(answer.result(), "once");
        assert_eq!(answer.body, answers[0].body);
        assert_eq!(answer.header("x-request-id"), id);
    }
    let says = |answer: &Answer| answer.header("ppio-idempotency").map(str::to_owned);
    let mut said: Vec<_> = answers.iter().filter_map(says).collect();
    said.sort();
    assert_eq!(said, ["replayed", "replayed", "replayed", "supported"]);
    assert_eq!(agent.calls(), 1);
    // A request with another body or content type is a different request.
    let other = agent.server.send(invocation_with(KEY, "{\"a\": 2}")).await;
    other.error(422, "IdempotencyKeyReused");
    let typed = invocation_with(KEY, "{\"a\": 1}").replace("application/json", "text/json");
    agent
        .server
        .send(typed)
        .await
        .error(422, "IdempotencyKeyReused");
    assert_eq!(agent.calls(), 1);
    // The response to a request without a key has no `ppio-idempotency` header.
    let mut plain = agent.server.connect().await;
    plain.write(invocation_with("", "1")).await;
    agent.started().await.item(1);
    assert_eq!(plain.answer().await.header("ppio-idempotency"), None);
}

#[tokio::test]
async fn errors_and_streams_are_replayed_as_well() {
    let agent = Scripted::start(config()).await;
    let failing = invocation_with("idempotency-key: e\r\n", "1");
    let mut caller = agent.server.connect().await;
    caller.write(&failing).await;
    agent.started().await.steps.send(Step::Fail).ok();
    let first = caller.answer().await;
    let again = agent.server.send(&failing).await;
    again.error(500, "Scripted");
    assert_eq!(again.body, first.body);

    let mut caller = agent.server.connect().await;
    caller.write(streaming("idempotency-key: s\r\n")).await;
    let started = agent.started().await;
    started.item(1);
    caller.head().await;
    caller.chunk().await;
    // The second caller joins while the stream runs, and gets it from the first item on, with ids.
    let mut joined = agent.server.connect().await;
    let with_ids = "idempotency-key: s\r\nppio-stream-ids: true\r\n";
    joined.write(streaming(with_ids)).await;
    let head = joined.head().await;
    assert_eq!(head.header("ppio-idempotency"), Some("replayed"));
    assert_eq!(joined.chunk().await.unwrap(), b"id: 1\ndata: 1\n\n");
    started.item(2);
    started.end();
    let replayed = agent.server.send(streaming("idempotency-key: s\r\n")).await;
    assert_eq!(replayed.events(), [json!(1), json!(2)]);
    let replayed = agent.server.send(streaming(with_ids)).await;
    let all = [items(1, [json!(1), json!(2)]), vec![end("success", 2)]].concat();
    assert_eq!(events(&replayed), all);
    assert_eq!(agent.calls(), 2);
}

#[tokio::test]
async fn keys_are_scoped_to_a_session_or_a_caller() {
    let agent = Scripted::start(config()).await;
    let session = "x-amzn-bedrock-agentcore-runtime-session-id";
    let scopes = [
        ("", "1"),
        (&format!("{session}: s\r\n"), "1"),
        (&format!("{session}: t\r\n"), "1"),
        ("authorization: Bearer a\r\n", "1"),
        ("authorization: Bearer b\r\n", "1"),
        ("", r#"{"sandbox_id": "u"}"#),
    ];
    for (number, (headers, body)) in scopes.iter().enumerate() {
        let mut caller = agent.server.connect().await;
        caller
            .write(invocation_with(&format!("{KEY}{headers}"), body))
            .await;
        agent.started().await.item(number);
        assert_eq!(caller.answer().await.status, 200);
    }
    assert_eq!(agent.calls(), scopes.len());
    // The credentials of a session may be renewed.
    let renewed = format!("{KEY}{session}: s\r\nauthorization: Bearer c\r\n");
    let answer = agent.server.send(invocation_with(&renewed, "1")).await;
    assert_eq!(answer.text(), "1");
    assert_eq!(agent.calls(), scopes.len());
}

#[tokio::test]
async fn a_request_that_is_refused_does_not_use_its_key() {
    let app = AgentRuntimeApp::builder()
        .config(config().max_concurrency(1))
        .entrypoint(|number: u32| async move {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            number
        })
        .build();
    let server = TestServer::start(app).await;
    let invalid = server.send(invocation_with(KEY, "\"x\"")).await;
    invalid.error(422, "ValidationError");
    assert_eq!(invalid.header("ppio-idempotency"), Some("supported"));
    let id = invalid.header("x-request-id").expect("an id");
    let state = server.send(get(&format!("/invocations/{id}"))).await;
    state.error(404, "RunNotFound");
    // The key is sent again with a valid body, while the agent is at its concurrency limit.
    let mut holder = server.connect().await;
    holder.write(invocation_with("", "0")).await;
    with_timeout("a running invocation", async {
        while server.metric("invocations_running").await == 0 {}
    })
    .await;
    let busy = server.send(invocation_with(KEY, "7")).await;
    busy.error(503, "Overloaded");
    assert_eq!(busy.header("retry-after"), Some("1"));
    drop(holder);
    server.idle().await;
    assert_eq!(server.send(invocation_with(KEY, "7")).await.result(), 7);
}

#[tokio::test]
async fn a_caller_that_reconnects_within_the_grace_joins_its_run() {
    let grace = Duration::from_secs(600);
    let agent = Scripted::start(config().reconnect_grace(grace)).await;
    let mut caller = agent.server.connect().await;
    caller.write(invocation_with(KEY, "1")).await;
    let started = agent.started().await;
    drop(caller);
    let mut again = agent.server.connect().await;
    again.write(invocation_with(KEY, "1")).await;
    started.item("kept");
    assert_eq!(again.answer().await.result(), "kept");

    // Without a caller the run is cancelled after the grace period, or immediately if the request
    // has `ppio-on-disconnect: cancel`.
    for (grace, headers) in [
        (Duration::from_millis(20), KEY.to_owned()),
        (grace, format!("{KEY}ppio-on-disconnect: cancel\r\n")),
    ] {
        let agent = Scripted::start(config().reconnect_grace(grace)).await;
        let mut caller = agent.server.connect().await;
        let headers = format!("{headers}x-request-id: gone\r\n");
        caller.write(invocation_with(&headers, "1")).await;
        let started = agent.started().await;
        drop(caller);
        started.wait_dropped().await;
        let state = agent.has_status("gone", "cancelled").await;
        assert_eq!(state["response"]["error_type"], "Cancelled");
        let again = agent.server.send(invocation_with(&headers, "1")).await;
        again.error(409, "Cancelled");
        assert_eq!(agent.calls(), 1);
    }
}

#[tokio::test]
async fn a_joining_caller_can_change_the_policy_to_continue() {
    let agent = Scripted::start(config().reconnect_grace(Duration::ZERO)).await;
    let mut caller = agent.server.connect().await;
    caller.write(invocation_with(KEY, "1")).await;
    let started = agent.started().await;
    let detach = format!("{KEY}prefer: respond-async\r\n");
    let detached = agent.server.send(invocation_with(&detach, "1")).await;
    assert_eq!(detached.status, 202);
    assert_eq!(detached.json()["status"], "running");
    let id = detached.header("x-request-id").expect("an id");
    assert_eq!(agent.state(id).await["on_disconnect"], "continue");
    drop(caller);
    started.item(1);
    agent.has_status(id, "success").await;
    let again = agent.server.send(invocation_with(&detach, "1")).await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json(), json!({"id": id, "status": "success"}));
}

#[tokio::test]
async fn a_key_expires_with_its_run() {
    let agent = Scripted::start(config().run_retention(Duration::ZERO)).await;
    for number in 1..3 {
        let mut caller = agent.server.connect().await;
        caller.write(invocation_with(KEY, "1")).await;
        agent.started().await.item(number);
        assert_eq!(caller.answer().await.result(), number);
    }
    assert_eq!(agent.calls(), 2);
}

/// Sends an invocation repeatedly and cuts the connection at random, until an answer has arrived.
async fn invoke_with_cuts(
    address: std::net::SocketAddr,
    body: &str,
    mut random: fastrand::Rng,
) -> Answer {
    let headers = format!("idempotency-key: {body}\r\n");
    let request = invocation_with(&headers, body);
    loop {
        let mut connection = Connection::open(address).await;
        let cut = random.usize(0..request.len() * 2);
        let sent = &request.as_bytes()[..cut.min(request.len())];
        connection.write(sent).await;
        if cut >= request.len() && random.bool() {
            return connection.answer().await;
        }
        if random.bool() {
            connection.stream.set_zero_linger().expect("a reset");
        }
    }
}

#[tokio::test]
async fn every_invocation_runs_once_and_every_caller_gets_its_answer() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let app = AgentRuntimeApp::builder()
        .config(config().list_anonymous_runs(true))
        .entrypoint(move |request: Value| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                request
            }
        })
        .build();
    let server = TestServer::start(app).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..500 {
        let (address, random) = (server.address, random.fork());
        tasks.spawn(async move {
            let answer = invoke_with_cuts(address, &number.to_string(), random).await;
            assert_eq!(answer.result(), number, "seed {seed}");
        });
        if tasks.len() >= 20 {
            let done = with_timeout("an answer", tasks.join_next()).await;
            done.expect("a task").expect("an answer");
        }
    }
    while let Some(done) = with_timeout("an answer", tasks.join_next()).await {
        done.expect("an answer");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 500, "seed {seed}");
    let list = server
        .send(request("GET", "/invocations?limit=10000", ""))
        .await;
    assert_eq!(
        list.json()["invocations"].as_array().map(Vec::len),
        Some(500)
    );
}
