//! The timeout that a caller sets limits its invocation, including the stream.

use std::time::Duration;

use crate::support::{TIMEOUT, TestServer, config, invocation_with, with_timeout};
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use ppio::bytes::Bytes;
use ppio::{
    AgentRuntimeApp, Body, Error, InvocationRequest, Next, Request, RequestContext, Response, Sse,
    SseIter, Value, json,
};
use tokio::sync::mpsc::unbounded_channel;

const ONE_SECOND: &str = "PPIO-Timeout: 1\r\n";

/// Sends to a channel when it is dropped.
struct OnDrop(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        // An error means that the test is over.
        let _ = self.0.send(());
    }
}

/// The header `PPIO-Timeout` applies to every request type; a timeout in the body applies only to
/// request types that define it, such as [`InvocationRequest`]. The configured timeout applies as
/// well.
#[tokio::test]
async fn a_callers_timeout_is_the_deadline_of_its_invocation() {
    let (dropped, mut drops) = unbounded_channel();
    let sleep = move || {
        let guard = OnDrop(dropped.clone());
        async move {
            let _guard = guard;
            std::future::pending::<Value>().await
        }
    };
    let builder = |timeout| AgentRuntimeApp::builder().config(config().timeout(timeout));
    let other = sleep.clone();
    let other_type = |timeout| {
        let sleep = other.clone();
        builder(timeout).entrypoint(move |_: Value| sleep()).build()
    };
    let conventional = builder(TIMEOUT)
        .entrypoint(move |_: InvocationRequest| sleep())
        .build();
    let long = TestServer::start(other_type(TIMEOUT)).await;
    let short = TestServer::start(other_type(Duration::from_millis(10))).await;
    let conventional = TestServer::start(conventional).await;
    for (server, headers, body, limit) in [
        (&long, ONE_SECOND, json!({}), "1 s"),
        (&long, ONE_SECOND, json!({"timeout": 3000}), "1 s"),
        (&short, "ppio-timeout: 3600\r\n", json!({}), "0.01 s"),
        (&short, "", json!({"timeout": 3600}), "0.01 s"),
        (&conventional, ONE_SECOND, json!({}), "1 s"),
        (&conventional, "", json!({"timeout": 1}), "1 s"),
        (&conventional, ONE_SECOND, json!({"timeout": 20}), "1 s"),
        (
            &conventional,
            "ppio-timeout: 20\r\n",
            json!({"timeout": 1}),
            "1 s",
        ),
    ] {
        let answer = server
            .send(invocation_with(headers, &body.to_string()))
            .await;
        let text = answer.error(504, "Timeout");
        assert!(
            text.contains(&format!("within {limit}")),
            "{headers}{body}: {text}"
        );
        with_timeout("the drop", drops.recv())
            .await
            .expect("a drop");
    }
}

#[tokio::test]
async fn the_context_has_the_deadline_of_the_caller() {
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(TIMEOUT))
        .entrypoint(|_: Value, context: RequestContext| async move {
            let left = context.deadline().expect("a deadline") - std::time::Instant::now();
            left.as_secs() < 7
        })
        .build();
    let server = TestServer::start(app).await;
    for (headers, is_near) in [("ppio-timeout: 7\r\n", true), ("", false)] {
        let answer = server.send(invocation_with(headers, "1")).await;
        assert_eq!(answer.result(), is_near, "{headers}");
    }
}

#[tokio::test]
async fn middleware_has_the_same_deadline() {
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(TIMEOUT))
        .middleware(async |_: Request, _: Next| std::future::pending::<Response>().await)
        .entrypoint(async |request: Value| request)
        .build();
    let server = TestServer::start(app).await;
    let answer = server.send(invocation_with(ONE_SECOND, "1")).await;
    let text = answer.error(504, "Timeout");
    assert!(text.contains("within 1 s"), "{text}");
}

/// A stream ends at the caller's deadline, whether it is silent, pauses between items, or always
/// has a next item. The configured timeout limits only the time without an item, and ends none of
/// these streams.
#[tokio::test]
async fn a_stream_ends_at_the_callers_deadline() {
    let builder = || AgentRuntimeApp::builder().config(config().timeout(TIMEOUT));
    let silent = builder()
        .entrypoint(
            async |_: Value| Sse(stream::iter([Ok::<_, Error>(1)]).chain(stream::pending())),
        )
        .build();
    let sending = builder()
        .entrypoint(async |_: Value| {
            Sse(stream::repeat(1).then(async |item| {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok::<_, Error>(item)
            }))
        })
        .build();
    // An item is always ready, but takes 1 ms, so that the test does not have to read gigabytes.
    let item = || {
        std::thread::sleep(Duration::from_millis(1));
        Ok::<_, Error>("x".repeat(1024))
    };
    let endless = builder()
        .entrypoint(move |_: Value| async move { Sse(stream::repeat_with(item)) })
        .build();
    let blocking = builder()
        .entrypoint(move |_: InvocationRequest| SseIter(std::iter::repeat_with(item)))
        .build();
    for (app, headers, body) in [
        (silent, ONE_SECOND, "{}"),
        (sending, ONE_SECOND, "{}"),
        (endless, ONE_SECOND, "{}"),
        (blocking, "", r#"{"timeout":1}"#),
    ] {
        let server = TestServer::start(app).await;
        let answer = server.send(invocation_with(headers, body)).await;
        let events = answer.events();
        let (last, items) = events.split_last().expect("an error item");
        assert!(!items.is_empty() && items.iter().all(|item| item.get("error").is_none()));
        assert_eq!(last["error_type"], "Timeout");
        let text = last["error"].as_str().expect("a text");
        assert!(text.contains("the caller's timeout of 1 s"), "{text}");
        server.idle().await;
    }
}

/// The body of a user response cannot contain an error item, so its connection is cut.
#[tokio::test]
async fn a_user_response_ends_at_the_callers_deadline() {
    let app = AgentRuntimeApp::builder()
        .config(config().timeout(TIMEOUT))
        .entrypoint(async |_: Value| {
            let first = Frame::data(Bytes::from_static(b"first"));
            let frames = stream::iter([Ok::<_, Error>(first)]).chain(stream::pending());
            Response::new(Body::new(StreamBody::new(frames)))
        })
        .build();
    let server = TestServer::start(app).await;
    let mut connection = server.connect().await;
    connection.write(invocation_with(ONE_SECOND, "1")).await;
    assert_eq!(connection.head().await.status, 200);
    assert_eq!(connection.chunk().await.as_deref(), Some(&b"first"[..]));
    connection.assert_closed().await;
    server.idle().await;
    let failed = "invocations_total{outcome=\"timeout\"}";
    assert_eq!(server.metric(failed).await, 1);
}

#[tokio::test]
async fn a_timeout_that_is_not_a_number_of_seconds_is_refused() {
    let server = TestServer::start(crate::support::echo(config())).await;
    for timeout in ["0", "-1", "1.5", "soon", ""] {
        let headers = format!("ppio-timeout: {timeout}\r\n");
        let answer = server.send(invocation_with(&headers, "1")).await;
        let text = answer.error(400, "BadRequest");
        assert!(text.contains("PPIO-Timeout"), "{text}");
        assert!(text.contains("whole seconds"), "{text}");
    }
    let answer = server
        .send(invocation_with("ppio-timeout: 99999999999\r\n", "1"))
        .await;
    assert_eq!(answer.result(), 1);
    server.assert_alive().await;
}
