//! Streams that continue over another connection.

use std::time::Duration;

use ppio_agent_client::{ClientConfig, Error, InvocationStream, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::{client_of, client_with};
use crate::idempotency::honour_keys;

const INVOKE: &str = "agent POST /invocations";
const EVENTS: &str = "agent GET /invocations/r-1/events";

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nppio-stream-ids: true\r\n\
                    x-request-id: r-1\r\nconnection: close\r\n\r\n";

/// The whole stream of the run.
const STREAM: &str = "id: 1\ndata: \"one\"\n\n: keep-alive\n\nid: 2\ndata: {\"two\": 2}\n\n\
                      id: 3\r\ndata: \"dreí\"\r\n\r\nid: 4\ndata: null\n\n\
                      event: end\ndata: {\"status\": \"success\", \"items\": 4}\n\n";

fn items() -> Vec<Value> {
    vec![json!("one"), json!({"two": 2}), json!("dreí"), Value::Null]
}

/// A response whose body ends with its connection.
fn events(body: impl AsRef<[u8]>) -> Reply {
    Reply::raw([HEAD.as_bytes(), body.as_ref()].concat())
}

/// Returns the rest of the stream after this many items.
fn after(item: usize) -> &'static str {
    let start = STREAM.find(&format!("id: {}", item + 1));
    let end = STREAM.find("event: end").unwrap();
    &STREAM[start.unwrap_or(end)..]
}

/// Returns the number of items that a reader of these bytes has received.
fn received(bytes: &[u8]) -> usize {
    // A line may end with CR alone.
    let text = String::from_utf8_lossy(bytes);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.split_inclusive("\n\n")
        .filter(|event| event.starts_with("id: ") && event.ends_with("\n\n"))
        .count()
}

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    honour_keys(platform);
    client_of(platform).create_session("tmpl_1").await.unwrap()
}

async fn open(session: &SandboxSession) -> InvocationStream {
    session.invoke("go").resumable().stream().await.unwrap()
}

/// Returns all items, and the error at the end if there was one.
async fn read(stream: &mut InvocationStream) -> (Vec<Value>, Option<Error>) {
    let mut items = Vec::new();
    let mut error = None;
    while let Some(item) = stream.next().await {
        assert!(error.is_none(), "nothing comes after an error");
        match item {
            Ok(item) => items.push(item),
            Err(failure) => error = Some(failure),
        }
    }
    (items, error)
}

#[tokio::test]
async fn a_resumable_stream_requests_ids_and_continuation() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, events(STREAM).close());
    let mut stream = open(&session).await;
    assert_eq!(stream.last_event_id(), None);
    let (found, error) = read(&mut stream).await;
    assert_eq!((found, error.is_none()), (items(), true));
    assert_eq!(stream.last_event_id(), Some(4));
    assert_eq!(stream.request_id(), "r-1");
    let request = &platform.requests(INVOKE)[0];
    assert_eq!(request.header("ppio-stream-ids"), "true");
    assert_eq!(request.header("ppio-on-disconnect"), "continue");
    assert!(!request.header("idempotency-key").is_empty());
    assert_eq!(platform.count(EVENTS), 0);

    // A call without `resumable` sends neither of the two headers.
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").end());
    let mut stream = session.invoke("go").stream().await.unwrap();
    assert_eq!(read(&mut stream).await.0, [json!(1)]);
    assert_eq!(stream.last_event_id(), None);
    let request = &platform.requests(INVOKE)[1];
    assert_eq!(request.header("ppio-stream-ids"), "");
    assert_eq!(request.header("ppio-on-disconnect"), "");
}

/// The stream is cut after each of its bytes, and the rest of it is cut once more in the middle.
#[tokio::test]
async fn a_stream_cut_anywhere_has_every_item_once() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for cut in 0..STREAM.len() {
        let first = &STREAM.as_bytes()[..cut];
        let rest = after(received(first)).as_bytes();
        let second = &rest[..rest.len() / 2];
        let in_both = received(first) + received(second);
        let before = platform.count(EVENTS);
        platform.script(INVOKE, events(first).close());
        platform.script(EVENTS, events(second).close());
        platform.script(EVENTS, events(after(in_both)).close());
        let (found, error) = read(&mut open(&session).await).await;
        assert_eq!(found, items(), "cut after {cut} bytes");
        assert!(error.is_none(), "cut after {cut} bytes: {error:?}");
        let requests = platform.requests(EVENTS).split_off(before);
        let positions: Vec<_> = requests
            .iter()
            .map(|request| request.header("last-event-id"))
            .collect();
        let expected = [received(first), in_both].map(|position| position.to_string());
        assert_eq!(positions, expected, "cut after {cut} bytes");
    }
}

#[tokio::test]
async fn repeated_items_are_skipped_and_missing_ones_are_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(
        INVOKE,
        events("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n").close(),
    );
    platform.script(
        EVENTS,
        events("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\nevent: end\ndata: {\"status\":\"success\"}\n\n").close(),
    );
    let (found, error) = read(&mut open(&session).await).await;
    assert_eq!(
        (found, error.is_none()),
        (vec![json!(1), json!(2), json!(3)], true)
    );

    for (next, text) in [
        (
            "id: 3\ndata: 3\n\n",
            "item 3 follows item 1, so that items are missing",
        ),
        ("data: 2\n\n", "has no id instead of its number"),
        (
            "id: x\ndata: 2\n\n",
            "has the id \"x\" instead of its number",
        ),
        ("id: x\ndata: 2\n\n", "\"x\""),
        ("event: end\ndata: {}\n\n", "the end of the stream"),
    ] {
        platform.script(INVOKE, events(format!("id: 1\ndata: 1\n\n{next}")).close());
        let (found, error) = read(&mut open(&session).await).await;
        assert_eq!(found, [json!(1)]);
        let error = error.unwrap();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[tokio::test]
async fn the_end_event_of_a_failed_run_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (end, kind, text) in [
        (
            json!({"status": "error", "error": "no model", "error_type": "ModelError"}),
            "ModelError",
            "no model",
        ),
        (json!({"status": "cancelled"}), "Cancelled", "cancelled"),
        (
            json!({"status": "interrupted"}),
            "Interrupted",
            "interrupted",
        ),
    ] {
        let body = format!("id: 1\ndata: 1\n\nevent: end\ndata: {end}\n\n");
        platform.script(INVOKE, events(body).close());
        let (found, error) = read(&mut open(&session).await).await;
        assert_eq!(found, [json!(1)]);
        match error.unwrap() {
            Error::Invocation {
                error_type,
                message,
                request_id,
                ..
            } => {
                assert_eq!(error_type.as_deref(), Some(kind));
                assert!(message.contains(text), "{message}");
                assert_eq!(request_id.as_deref(), Some("r-1"));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(
        platform.count(EVENTS),
        0,
        "an ended run is not opened again"
    );
}

#[tokio::test]
async fn a_final_status_ends_the_stream_with_an_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (status, text) in [
        (404, "no run \"r-1\""),
        (410, "items after 1 are no longer kept"),
        (400, "run r-1 has no item 1"),
        (401, "unknown caller"),
    ] {
        let before = platform.count(EVENTS);
        platform.script(INVOKE, events("id: 1\ndata: 1\n\n").close());
        platform.script(EVENTS, Reply::json(status, &json!({ "error": text })));
        let (found, error) = read(&mut open(&session).await).await;
        assert_eq!(found, [json!(1)]);
        let error = error.unwrap();
        assert_eq!(error.status(), Some(status), "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(platform.count(EVENTS), before + 1, "{status} is final");
    }
}

#[tokio::test]
async fn a_stream_continues_after_an_outage_or_a_pause() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, events("id: 1\ndata: \"one\"\n\n").close());
    for outage in [
        Reply::nothing().reset(),
        Reply::error(502, "not there"),
        Reply::error(503, "draining"),
        Reply::error(429, "slow down"),
        events("").close(),
        events(": keep-alive\n\nid: 2\nda").close(),
    ] {
        platform.script(EVENTS, outage);
    }
    platform.script(EVENTS, events(after(1)).close());
    let (found, error) = read(&mut open(&session).await).await;
    assert_eq!((found, error.is_none()), (items(), true));
    assert_eq!(platform.count(EVENTS), 7);

    // The platform responds in place of a paused sandbox.
    platform.script(INVOKE, events("id: 1\ndata: \"one\"\n\n").close());
    let mut stream = open(&session).await;
    stream.next().await.unwrap().unwrap();
    session.pause().await.unwrap();
    let reading = tokio::spawn(async move { read(&mut stream).await });
    let before = platform.count(EVENTS);
    platform
        .eventually("requests to the paused sandbox", |platform| {
            platform.count(EVENTS) > before + 2
        })
        .await;
    platform.always(EVENTS, events(after(1)).close());
    session.resume().await.unwrap();
    let (found, error) = reading.await.unwrap();
    assert_eq!((found, error.is_none()), (items()[1..].to_vec(), true));
}

#[tokio::test]
async fn an_outage_that_lasts_too_long_ends_with_its_last_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.always(EVENTS, Reply::error(503, "never again"));
    platform.script(INVOKE, events("id: 1\ndata: 1\n\n").close());
    let call = session.invoke("go").timeout(Duration::from_millis(300));
    let mut stream = call.resumable().stream().await.unwrap();
    let (found, error) = read(&mut stream).await;
    assert_eq!(found, [json!(1)]);
    let error = error.unwrap();
    assert!(error.to_string().contains("never again"), "{error}");
    assert!(platform.count(EVENTS) > 1);

    // A connection without items does not end an outage.
    platform.always(EVENTS, events("").close());
    platform.script(INVOKE, events("id: 1\ndata: 1\n\n").close());
    let call = session.invoke("go").timeout(Duration::from_millis(300));
    let mut stream = call.resumable().stream().await.unwrap();
    let error = read(&mut stream).await.1.unwrap();
    assert!(matches!(error, Error::Network { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_stream_is_opened_again() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let config = ClientConfig {
        stream_idle_timeout: Duration::from_millis(100),
        ..ClientConfig::default()
    };
    let client = client_with(&platform, config);
    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script(INVOKE, events("id: 1\ndata: \"one\"\n\n").hang());
    platform.script(EVENTS, events(after(1)).close());
    let (found, error) = read(&mut open(&session).await).await;
    assert_eq!((found, error.is_none()), (items(), true));
}

#[tokio::test]
async fn a_value_is_an_answer_with_and_without_a_broken_connection() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::nothing().reset());
    let mut stream = open(&session).await;
    let (found, error) = read(&mut stream).await;
    assert_eq!(
        (found, error.is_none()),
        (vec![json!({"prompt": "go"})], true)
    );
    platform.script(INVOKE, Reply::nothing().reset());
    let answer = session.invoke("go").resumable().await.unwrap();
    assert_eq!(answer.result, Some(json!({"prompt": "go"})));
}

#[tokio::test]
async fn an_agent_without_runs_is_not_invoked_and_one_without_ids_is_an_error() {
    let platform = ScriptedPlatform::start().await;
    let old = client_of(&platform).create_session("tmpl_1").await.unwrap();
    let error = old.invoke("go").resumable().stream().await.unwrap_err();
    assert!(error.to_string().contains("keeps no runs"), "{error}");
    assert_eq!(platform.count(INVOKE), 0);

    let session = session(&platform).await;
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").end());
    let error = session.invoke("go").resumable().stream().await.unwrap_err();
    assert!(error.to_string().contains("has no ids"), "{error}");
}

#[tokio::test]
async fn dropping_a_resumable_stream_cancels_nothing() {
    let platform = ScriptedPlatform::start().await;
    honour_keys(&platform);
    let client = client_of(&platform);
    let session = client.create_session("tmpl_1").await.unwrap();
    platform.script(INVOKE, events("id: 1\ndata: 1\n\n").hang());
    let mut stream = open(&session).await;
    stream.next().await.unwrap().unwrap();
    drop(stream);
    client.close().await.unwrap();
    assert_eq!(platform.count("agent DELETE /invocations/r-1"), 0);
}
