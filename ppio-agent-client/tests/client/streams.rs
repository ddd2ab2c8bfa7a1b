//! Streams: how they are read, and how their ends are distinguished.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ppio_agent_client::{ClientConfig, Error, InvocationOutput, NetworkErrorKind, SandboxSession};
use ppio_test_support::scripted_platform::{Reply, ScriptedPlatform};
use serde_json::{Value, json};

use crate::clients::{client_of, client_with};

const INVOKE: &str = "agent POST /invocations";

async fn session(platform: &ScriptedPlatform) -> SandboxSession {
    client_of(platform)
        .create_session("tmpl_1")
        .await
        .expect("set up")
}

/// Returns all items, and the error at the end if there was one.
async fn read(session: &SandboxSession) -> (Vec<Value>, Option<Error>) {
    let mut stream = session.invoke("go").stream().await.expect("set up");
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        match item {
            Ok(item) => items.push(item),
            Err(error) => {
                assert!(
                    stream.next().await.is_none(),
                    "nothing comes after an error"
                );
                return (items, Some(error));
            }
        }
    }
    assert!(stream.next().await.is_none());
    (items, None)
}

#[tokio::test]
async fn items_come_one_by_one_and_the_end_is_clean() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let reply = Reply::events()
        .chunk("data: {\"a\":1}\n\n: heartbeat\n\ndata: \"te")
        .chunk("xt\"\r\n\r\ndata: plain words\n\nid: 7\ndata: [1,\ndata: 2]\n\n")
        .end();
    platform.script(INVOKE, reply);
    let (items, error) = read(&session).await;
    assert_eq!(
        items,
        [
            json!({"a": 1}),
            json!("text"),
            json!("plain words"),
            json!([1, 2])
        ]
    );
    assert!(error.is_none());
    let request = &platform.requests(INVOKE)[0];
    assert!(request.header("accept").starts_with("text/event-stream"));
}

#[tokio::test]
async fn the_first_item_does_not_wait_for_the_second() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let mut stream = session.invoke("go").stream().await.unwrap();
    let first = tokio::time::timeout(Duration::from_secs(5), stream.next()).await;
    assert_eq!(first.unwrap().unwrap().unwrap(), json!(1));
}

#[tokio::test]
async fn an_agents_error_is_an_invocation_error() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    for (event, message, kind) in [
        ("data: {\"error\":\"no model\"}\n\n", "no model", None),
        (
            "data: {\"error\":\"no\",\"error_type\":\"ModelError\",\"message\":\"m\"}\n\n",
            "no",
            Some("ModelError"),
        ),
        ("event: error\ndata: went wrong\n\n", "went wrong", None),
    ] {
        platform.script(
            INVOKE,
            Reply::events().chunk("data: 1\n\n").chunk(event).end(),
        );
        let (items, error) = read(&session).await;
        assert_eq!(items, [json!(1)]);
        match error {
            Some(Error::Invocation {
                message: said,
                error_type,
                status: None,
                request_id: Some(_),
                ..
            }) => {
                assert_eq!((said.as_str(), error_type.as_deref()), (message, kind));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_cut_stream_is_never_a_clean_end() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let euro = "data: \"€\"\n\n".as_bytes();
    let open = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let cuts = [
        // Between events, by FIN and by RST.
        Reply::events().chunk("data: 1\n\n").close(),
        Reply::events().chunk("data: 1\n\n").pause(Duration::from_millis(50)).reset(),
        // In an event, in the middle of a character, in the middle of a chunk's size.
        Reply::events().chunk("data: 1\n\n").chunk("data: {\"a\"").close(),
        Reply::events().chunk("data: 1\n\n").chunk(&euro[..8]).close(),
        Reply::events().chunk("data: 1\n\n").chunk(&euro[..8]).end(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n1").close(),
        // Without a length, the end of the connection is the end of the body, but not of an event.
        Reply::raw(format!("{open}data: 1\n\ndata: 2")).close(),
    ];
    for cut in cuts {
        let script = format!("{cut:?}");
        platform.script(INVOKE, cut);
        let (items, error) = read(&session).await;
        assert_eq!(items, [json!(1)], "{script}");
        match error {
            Some(Error::Network { source, .. }) => assert_eq!(source.kind(), NetworkErrorKind::Cut),
            other => panic!("{other:?} for {script}"),
        }
    }
    platform.script(INVOKE, Reply::raw(format!("{open}data: 1\n\n")).close());
    assert!(read(&session).await.1.is_none());
}

#[tokio::test]
async fn the_idle_timeout_counts_from_the_last_heartbeat() {
    let platform = ScriptedPlatform::start().await;
    let limit = Duration::from_millis(300);
    let config = ClientConfig {
        stream_idle_timeout: limit,
        ..ClientConfig::default()
    };
    let session = client_with(&platform, config)
        .create_session("tmpl_1")
        .await
        .unwrap();

    let beat = Duration::from_millis(150);
    let reply = Reply::events().chunk("data: 1\n\n");
    let reply = (0..4).fold(reply, |reply, _| {
        reply.pause(beat).chunk(": still here\n\n")
    });
    platform.script(INVOKE, reply.hang());
    let started = Instant::now();
    let (items, error) = read(&session).await;
    assert_eq!(items, [json!(1)]);
    assert!(matches!(error, Some(Error::StreamIdle { limit: found }) if found == limit));
    assert!(started.elapsed() >= beat * 4 + limit);
    platform
        .eventually("the connection is closed", |platform| {
            platform.open_connections() <= 2
        })
        .await;
}

#[tokio::test]
async fn a_slow_reader_does_not_trigger_the_idle_timeout() {
    let platform = ScriptedPlatform::start().await;
    let config = ClientConfig {
        stream_idle_timeout: Duration::from_millis(100),
        ..ClientConfig::default()
    };
    let session = client_with(&platform, config)
        .create_session("tmpl_1")
        .await
        .unwrap();
    let reply = Reply::events()
        .chunk("data: 1\n\n")
        .pause(Duration::from_millis(30));
    platform.script(INVOKE, reply.chunk("data: 2\n\n").end());
    let mut stream = session.invoke("go").stream().await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), json!(1));
    // The reader pauses for longer than the sender may be silent.
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(250)).await;
    tokio::time::resume();
    assert_eq!(stream.next().await.unwrap().unwrap(), json!(2));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").hang());
    let mut stream = session.invoke("go").stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    let open = platform.open_connections();
    drop(stream);
    platform
        .eventually("the connection is closed", |platform| {
            platform.open_connections() < open
        })
        .await;
}

#[tokio::test]
async fn lines_of_json_are_a_stream_too() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let lines = || {
        Reply::chunked("application/x-ndjson")
            .chunk("{\"a\":1}\n\n{\"b")
            .chunk("\":2}\n")
    };
    platform.script(INVOKE, lines().chunk("3").end());
    let (items, error) = read(&session).await;
    assert_eq!(items, [json!({"a": 1}), json!({"b": 2}), json!(3)]);
    assert!(error.is_none());
    platform.script(INVOKE, lines().chunk("{\"c\"").end());
    assert!(matches!(
        read(&session).await.1,
        Some(Error::Network { .. })
    ));
}

#[tokio::test]
async fn a_value_is_a_stream_of_one_item_and_output_follows_the_content_type() {
    let platform = ScriptedPlatform::start().await;
    let session = session(&platform).await;
    let (items, error) = read(&session).await;
    assert_eq!(
        (items, error.is_none()),
        (vec![json!({"prompt": "go"})], true)
    );

    let InvocationOutput::Value(answer) = session.invoke("go").output().await.unwrap() else {
        panic!("a value");
    };
    assert_eq!(answer.result, Some(json!({"prompt": "go"})));
    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").end());
    let InvocationOutput::Stream(stream) = session.invoke("go").output().await.unwrap() else {
        panic!("a stream");
    };
    let items: Vec<_> = StreamExt::collect::<Vec<_>>(stream).await;
    assert_eq!(items.len(), 1);

    platform.script(INVOKE, Reply::events().chunk("data: 1\n\n").end());
    let error = session.invoke("go").await.unwrap_err();
    assert!(error.report().to_string().contains("stream()"), "{error}");
}
