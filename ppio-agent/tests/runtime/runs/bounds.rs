//! Which items and runs are kept, and which are dropped first.

use std::time::Duration;

use futures_util::stream;
use ppio::{AgentRuntimeApp, ByteSize, Error, OnDisconnect, RuntimeConfig, Sse, Value, json};

use super::support::{Event, Scripted, events, request};
use crate::support::{TestServer, config, get, invocation_with, with_timeout};

/// An agent whose request is the number of items that it streams; all are ready immediately.
async fn counting(config: RuntimeConfig) -> TestServer {
    let app = AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|count: u64| async move {
            Sse(stream::iter((1..=count).map(|number| {
                Ok::<_, Error>(json!({ "number": number, "text": "x".repeat(80) }))
            })))
        })
        .build();
    TestServer::start(app).await
}

async fn state(server: &TestServer, id: &str) -> Value {
    server.send(get(&format!("/invocations/{id}"))).await.json()
}

#[tokio::test]
async fn a_slow_reader_slows_the_invocation_down_and_gets_every_item() {
    let size = 64 * 1024;
    let server = counting(
        config()
            .on_disconnect(OnDisconnect::Continue)
            .max_run_size(ByteSize::new(size)),
    )
    .await;
    let count = 200_000;
    let mut slow = server.connect().await;
    let headers = "ppio-stream-ids: true\r\nx-request-id: slow\r\n";
    slow.write(invocation_with(headers, &count.to_string()))
        .await;
    slow.head().await;
    // Wait until the buffers of the sockets and the log are full.
    let mut items = 0;
    with_timeout("a full log", async {
        loop {
            let now = state(&server, "slow").await["items"].as_u64().unwrap();
            if now > 0 && now == items {
                let kept = server.metric("runs_bytes").await;
                assert!(kept < 2 * size, "{kept} bytes");
                if kept >= size {
                    break;
                }
            }
            items = now;
        }
    })
    .await;
    assert!(items < count, "all {items} items were produced");
    let mut next = 1;
    let mut rest = String::new();
    while let Some(chunk) = slow.chunk().await {
        rest.push_str(std::str::from_utf8(&chunk).unwrap());
        let whole = rest.rfind("\n\n").map_or(0, |end| end + 2);
        for event in super::support::parse(&rest[..whole]) {
            match event {
                Event::Item(id, item) => {
                    assert_eq!((id, &item["number"]), (next, &json!(next)));
                    next += 1;
                }
                Event::End(end) => assert_eq!(end["items"], count),
            }
        }
        rest.drain(..whole);
    }
    assert_eq!(next, count + 1);
}

#[tokio::test]
async fn without_readers_the_oldest_items_are_dropped_and_reading_them_is_a_410() {
    let server = counting(
        config()
            .on_disconnect(OnDisconnect::Continue)
            .max_run_size(ByteSize::new(16 * 1024)),
    )
    .await;
    let detach = "prefer: respond-async\r\nx-request-id: long\r\nidempotency-key: k\r\n";
    let answer = server.send(invocation_with(detach, "5000")).await;
    assert_eq!(answer.status, 202);
    with_timeout("the end", async {
        while state(&server, "long").await["status"] == "running" {}
    })
    .await;
    assert_eq!(state(&server, "long").await["items"], 5000);
    let from = |after: u64| {
        request(
            "GET",
            &format!("/invocations/long/events?last_event_id={after}"),
            "",
        )
    };
    let gone = server.send(from(0)).await.error(410, "Gone");
    let last: u64 = gone
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .expect("the id of the last dropped item");
    server.send(from(last - 1)).await.error(410, "Gone");
    let kept = events(&server.send(from(last)).await);
    assert_eq!(kept.len() as u64, 5000 - last + 1);
    assert!(matches!(&kept[0], Event::Item(id, _) if *id == last + 1));
    for path in ["/invocations/long/response", "/invocations/long/events"] {
        server.send(get(path)).await.error(410, "Gone");
    }
    // A second request with the idempotency key of the run starts no invocation.
    let again = invocation_with("idempotency-key: k\r\n", "5000");
    server.send(again).await.error(410, "Gone");
}

#[tokio::test]
async fn a_value_over_the_limit_is_sent_but_not_kept() {
    let size = ByteSize::new(1000);
    let app = crate::support::echo(config().max_run_size(size));
    let server = TestServer::start(app).await;
    let large = format!("\"{}\"", "x".repeat(2000));
    let headers = "idempotency-key: k\r\nx-request-id: large\r\n";
    let answer = server.send(invocation_with(headers, &large)).await;
    assert_eq!(answer.result(), "x".repeat(2000));
    with_timeout("the drop", async {
        while state(&server, "large").await.get("response").is_some() {}
    })
    .await;
    let after = state(&server, "large").await;
    assert_eq!(
        (&after["status"], &after["response_dropped"]),
        (&json!("success"), &json!(true))
    );
    let again = server.send(invocation_with(headers, &large)).await;
    let text = again.error(410, "Gone");
    assert!(text.contains("PPIO_AGENT_MAX_RUN_SIZE"), "{text}");
    assert_eq!(server.metric("runs_bytes").await, 0);
}

#[tokio::test]
async fn runs_are_dropped_in_the_order_in_which_they_ended() {
    let agent = Scripted::start(config().max_runs(3)).await;
    let mut started = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(agent.detach("1").await);
        started.push(agent.started().await);
    }
    // All of these runs are still running.
    let detach = invocation_with("prefer: respond-async\r\n", "1");
    let refused = agent.server.send(&detach).await;
    let text = refused.error(503, "TooManyRuns");
    assert!(text.contains("PPIO_AGENT_MAX_RUNS"), "{text}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // The second run ends before the first.
    for number in [1, 0] {
        started[number].item(1);
        agent.has_status(&ids[number], "success").await;
    }
    for gone in [1, 0] {
        agent.detach("1").await;
        let path = format!("/invocations/{}", ids[gone]);
        agent
            .server
            .send(get(&path))
            .await
            .error(404, "RunNotFound");
    }
    assert_eq!(agent.state(&ids[2]).await["status"], "running");
}

#[tokio::test]
async fn the_total_size_of_all_runs_is_bounded() {
    let total = 100_000;
    let server = counting(
        config()
            .on_disconnect(OnDisconnect::Continue)
            .max_total_run_size(ByteSize::new(total)),
    )
    .await;
    for number in 0..20 {
        let headers = format!("x-request-id: run-{number}\r\n");
        let answer = server.send(invocation_with(&headers, "200")).await;
        assert_eq!(answer.events().len(), 200);
    }
    with_timeout("the bound", async {
        while server.metric("runs_bytes").await > total {}
    })
    .await;
    let kept = server.metric("runs_kept").await;
    assert!((1..20).contains(&kept), "{kept} runs are kept");
    let last = server.send(get("/invocations/run-19/events")).await;
    assert_eq!(events(&last).len(), 201);
    server
        .send(get("/invocations/run-0"))
        .await
        .error(404, "RunNotFound");
}

#[tokio::test]
async fn a_run_is_dropped_after_its_retention() {
    let retention = Duration::from_millis(50);
    let server = counting(
        config()
            .on_disconnect(OnDisconnect::Continue)
            .run_retention(retention),
    )
    .await;
    let answer = server
        .send(invocation_with("x-request-id: r\r\n", "3"))
        .await;
    assert_eq!(answer.events().len(), 3);
    // The run is dropped even if no request looks it up.
    with_timeout("the drop", async {
        while server.metric("runs_kept").await > 0 {}
    })
    .await;
    assert_eq!(server.metric("runs_bytes").await, 0);
    server
        .send(get("/invocations/r"))
        .await
        .error(404, "RunNotFound");
}

#[tokio::test]
async fn ten_thousand_runs_are_kept_and_listed() {
    let server = counting(
        config()
            .on_disconnect(OnDisconnect::Continue)
            .max_runs(10_000)
            .list_anonymous_runs(true),
    )
    .await;
    let mut connection = server.connect().await;
    for number in 0..10_010 {
        let headers = format!("x-request-id: run-{number}\r\n");
        connection.write(invocation_with(&headers, "1")).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    for (query, expected, first) in [
        ("", 100, "run-10009"),
        ("?limit=10000", 10_000, "run-10009"),
        ("?status=success&limit=1", 1, "run-10009"),
    ] {
        let list = server
            .send(get(&format!("/invocations{query}")))
            .await
            .json();
        let list = list["invocations"].as_array().expect("a list");
        assert_eq!((list.len(), &list[0]["id"]), (expected, &json!(first)));
    }
    let none = server.send(get("/invocations?status=error")).await.json();
    assert_eq!(none["invocations"], json!([]));
}
