//! Streams whose readers disconnect, and resume or stop the answer.

use std::net::SocketAddr;

use ppio::{Value, json};
use ppio_test_support::call::{Answer, send_to};
use ppio_test_support::eventually_some;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{ask, chunks, of_type, post, protocol_agent, request, run, text};

/// Reads an answer until it contains text.
async fn begin(answer: &mut Answer) -> Vec<Value> {
    let mut seen = Vec::new();
    while text(&seen).is_empty() {
        seen.extend(answer.next_items().await.unwrap());
    }
    seen
}

/// Waits until the work of one invocation is dropped.
async fn eventually_cancelled(address: SocketAddr) {
    eventually_some("the work is dropped", async || {
        let cancelled = run(address, &request("asks", "cancelled")).await;
        (text(&cancelled) == "1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_page_resumes_the_stream() {
    let agent = protocol_agent();
    // An id that has to be encoded in a path.
    let (id, encoded) = ("a/b ü", "a%2Fb%20%C3%BC");
    let other = ask(agent.addr(), "GET", "other", "stream").await;
    assert_eq!(other.status(), 204);
    let mut first = post(agent.addr(), &[], &request(id, "slow 10 30")).await;
    let seen = begin(&mut first).await;
    drop(first);
    let resumed = ask(agent.addr(), "GET", encoded, "stream").await;
    let second = ask(agent.addr(), "GET", encoded, "stream").await;
    let resumed = chunks(resumed).await;
    assert_eq!(chunks(second).await, resumed);
    assert!(resumed.starts_with(&seen), "{seen:?} {resumed:?}");
    assert_eq!(text(&resumed), "0 1 2 3 4 5 6 7 8 9 ");
    eventually_some("nothing runs", async || {
        let answer = ask(agent.addr(), "GET", encoded, "stream").await;
        (answer.status() == 204).then_some(())
    })
    .await;
}

/// Waits until no run continues without its caller.
async fn eventually_idle(agent: SocketAddr) {
    eventually_some("the run has ended", async || {
        let ping = send_to(agent, "GET", "/ping", &[], String::new()).await;
        (ping.json().await["status"] == "Healthy").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ended_after_a_disconnect_can_be_read_once() {
    let agent = protocol_agent();
    let agent = agent.addr();
    for (prompt, last) in [
        ("slow 5 30", "finish"),
        // The failure comes before the answer begins, or after its first item.
        ("late 100 fail-first", ""),
        ("slow-fail-later 50", "error"),
    ] {
        let chat = prompt.split_whitespace().next().unwrap();
        let body = request(chat, prompt);
        if prompt == "late 100 fail-first" {
            // The page disconnects before there is an answer.
            disconnect_early(agent, &body).await;
        } else {
            let mut first = post(agent, &[], &body).await;
            begin(&mut first).await;
            drop(first);
        }
        eventually_idle(agent).await;
        let again = ask(agent, "GET", chat, "stream").await;
        if last.is_empty() {
            assert_eq!(again.status(), 400, "{prompt}");
        } else {
            let resumed = chunks(again).await;
            assert_eq!(resumed.last().unwrap()["type"], last, "{resumed:?}");
        }
        // The answer has now been read to its end.
        let again = ask(agent, "GET", chat, "stream").await;
        assert_eq!(again.status(), 204, "{prompt}");
    }
    // This answer was also read to its end, by its first page.
    run(agent, &request("whole", "hello")).await;
    let again = ask(agent, "GET", "whole", "stream").await;
    assert_eq!(again.status(), 204);
    // Two readers that disconnect can each reconnect and read to the end once.
    let mut pages = Vec::new();
    pages.push(post(agent, &[], &request("twice", "slow 8 40")).await);
    pages.push(ask(agent, "GET", "twice", "stream").await);
    for page in &mut pages {
        begin(page).await;
    }
    drop(pages);
    eventually_idle(agent).await;
    for _ in 0..2 {
        let resumed = chunks(ask(agent, "GET", "twice", "stream").await).await;
        assert_eq!(text(&resumed), "0 1 2 3 4 5 6 7 ");
    }
    assert_eq!(ask(agent, "GET", "twice", "stream").await.status(), 204);
    // The next answer of the chat replaces an answer that was not read to its end.
    let mut left = post(agent, &[], &request("next", "slow 5 30")).await;
    begin(&mut left).await;
    drop(left);
    eventually_idle(agent).await;
    run(agent, &request("next", "hello")).await;
    assert_eq!(ask(agent, "GET", "next", "stream").await.status(), 204);
}

/// Sends a request and disconnects while it is being answered.
async fn disconnect_early(agent: SocketAddr, body: &Value) {
    let body = body.to_string();
    let head = format!(
        "POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(agent).await.unwrap();
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    eventually_some("the run has begun", async || {
        let ping = send_to(agent, "GET", "/ping", &[], String::new()).await;
        (ping.json().await["status"] == "HealthyBusy").then_some(())
    })
    .await;
    drop(socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_cancels_the_run_of_a_resumed_stream() {
    let agent = protocol_agent();
    let mut first = post(agent.addr(), &[], &request("c", "hang")).await;
    begin(&mut first).await;
    drop(first);
    let mut resumed = ask(agent.addr(), "GET", "c", "stream").await;
    begin(&mut resumed).await;
    let answer = ask(agent.addr(), "POST", "other", "stop").await;
    assert_eq!(answer.status(), 204);
    let answer = ask(agent.addr(), "POST", "c", "stop").await;
    assert_eq!(answer.status(), 204);
    let rest = resumed.text().await;
    assert!(
        rest.contains(r#"data: {"type":"abort","reason":"#),
        "{rest}"
    );
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert!(!rest.contains(r#""type":"finish""#), "{rest}");
    let answer = ask(agent.addr(), "GET", "c", "stream").await;
    assert_eq!(answer.status(), 204);
    eventually_cancelled(agent.addr()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_the_run_only_on_request() {
    let agent = protocol_agent();
    for (chat, headers, goes_on) in [
        ("kept", &[][..], true),
        ("cancelled", &[("ppio-on-disconnect", "cancel")], false),
    ] {
        let mut answer = post(agent.addr(), headers, &request(chat, "hang")).await;
        begin(&mut answer).await;
        drop(answer);
        if goes_on {
            let again = ask(agent.addr(), "GET", chat, "stream").await;
            assert_eq!(again.status(), 200);
            continue;
        }
        eventually_some("the work is cancelled", async || {
            let again = ask(agent.addr(), "GET", chat, "stream").await;
            (again.status() == 204).then_some(())
        })
        .await;
    }
    assert_eq!(
        text(&run(agent.addr(), &request("d", "cancelled")).await),
        "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_continued_message_is_resumed_from_its_beginning() {
    let agent = protocol_agent();
    let mut continued = request("c", "slow 10 30");
    let parts = json!([
        {"type": "step-start"},
        {"type": "text", "text": "Well.", "state": "done"},
        {"type": "reasoning", "text": "hm", "state": "done"},
        {"type": "source-url", "sourceId": "s", "url": "https://a.example"},
        {"type": "data-place", "data": {"city": "Rome"}},
        {"type": "tool-see", "toolCallId": "x", "state": "output-available", "input": {},
            "output": {"cat": true}},
        {"type": "dynamic-tool", "toolName": "mail", "toolCallId": "y",
            "state": "approval-responded", "input": {"to": "Ann"},
            "approval": {"id": "i", "approved": false, "reason": "no"}},
    ]);
    let message = json!({"id": "a1", "role": "assistant", "parts": parts});
    continued["messages"].as_array_mut().unwrap().push(message);
    let mut first = post(agent.addr(), &[], &continued).await;
    let seen = begin(&mut first).await;
    assert_eq!(seen[0], json!({"type": "start", "messageId": "a1"}));
    assert_eq!(
        seen[1],
        json!({"type": "tool-output-denied", "toolCallId": "y"})
    );
    drop(first);
    let resumed = chunks(ask(agent.addr(), "GET", "c", "stream").await).await;
    assert_eq!(text(&resumed), "Well.0 1 2 3 4 5 6 7 8 9 ");
    let position = |chunk_type: &str| {
        let at = resumed.iter().position(|chunk| chunk["type"] == chunk_type);
        at.unwrap_or_else(|| panic!("no {chunk_type} in {resumed:?}"))
    };
    let order = [
        "start",
        "start-step",
        "reasoning-delta",
        "source-url",
        "data-place",
        "tool-output-available",
        "tool-approval-request",
        "tool-approval-response",
        "finish-step",
        "tool-output-denied",
        "finish",
    ];
    let positions = order.map(position);
    let mut sorted = positions;
    sorted.sort_unstable();
    assert_eq!(positions[..8], sorted[..8], "{resumed:?}");
    assert_eq!(of_type(&resumed, "start-step").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_parts_of_a_large_continued_message_are_not_resumed() {
    let agent = protocol_agent();
    let mut continued = request("c", "slow 10 30");
    let message = json!({"id": "a1", "role": "assistant", "parts": [
        {"type": "text", "text": "x".repeat(300 << 10)},
    ]});
    continued["messages"].as_array_mut().unwrap().push(message);
    let mut first = post(agent.addr(), &[], &continued).await;
    begin(&mut first).await;
    drop(first);
    let resumed = chunks(ask(agent.addr(), "GET", "c", "stream").await).await;
    assert_eq!(resumed[0]["messageId"], "a1");
    assert_eq!(text(&resumed), "0 1 2 3 4 5 6 7 8 9 ");
}

/// A guessed id gives no access to the chat of a session.
#[tokio::test(flavor = "multi_thread")]
async fn a_chat_can_be_resumed_or_stopped_only_in_its_session() {
    let agent = protocol_agent();
    let agent = agent.addr();
    let session = "x-amzn-bedrock-agentcore-runtime-session-id";
    let mut answer = post(agent, &[(session, "s")], &request("c1", "hang")).await;
    begin(&mut answer).await;
    for (headers, status) in [
        (&[][..], 204),
        (&[(session, "t")], 204),
        (&[("authorization", "Bearer a")], 204),
        (&[(session, "s")], 200),
    ] {
        let path = "/api/chat/c1/stream";
        let resumed = send_to(agent, "GET", path, headers, String::new()).await;
        assert_eq!(resumed.status(), status, "{headers:?}");
    }
    // The chat cannot be stopped without its session either.
    assert_eq!(ask(agent, "POST", "c1", "stop").await.status(), 204);
    let path = "/api/chat/c1/stream";
    let resumed = send_to(agent, "GET", path, &[(session, "s")], String::new()).await;
    assert_eq!(resumed.status(), 200);
}
