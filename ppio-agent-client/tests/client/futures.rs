//! Calls are futures: they are joined, spawned and raced without a conversion.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_util::future::{join_all, try_join_all};
use ppio_agent_client::{InvocationOutput, SandboxSession};
use ppio_test_support::scripted_platform::{ScriptedPlatform, agent_document};
use serde_json::json;

use crate::clients::client_of;

#[tokio::test]
async fn calls_are_joined_and_spawned_as_they_are() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    let creating = (0..3).map(|_| client.create_session("tmpl_1"));
    let sessions = try_join_all(creating).await.unwrap();
    assert_eq!(platform.live().len(), 3);

    let asked = sessions
        .iter()
        .zip(0..)
        .map(|(session, n)| session.invoke(json!({ "n": n })));
    for (outcome, n) in join_all(asked).await.into_iter().zip(0..) {
        assert_eq!(outcome.unwrap().result, Some(json!({ "n": n })));
    }
    try_join_all(sessions.iter().map(SandboxSession::close))
        .await
        .unwrap();

    let session = tokio::spawn(client.create_session("tmpl_1")).await;
    let session = session.unwrap().unwrap();
    tokio::spawn(session.invoke("hi")).await.unwrap().unwrap();
    let runtime = client.invoke_agent_runtime("a-tmpl_1", "hi");
    let response = tokio::spawn(runtime).await.unwrap().unwrap();
    assert!(matches!(response.output, InvocationOutput::Value(_)));
    let templates = tokio::spawn(client.list_templates()).await.unwrap();
    assert_eq!(templates.unwrap().len(), 1);
}

#[tokio::test]
async fn templates_are_listed_by_tags_and_name() {
    let platform = ScriptedPlatform::start().await;
    let client = client_of(&platform);
    for (name, tags) in [
        ("chat-bot", json!(["ai", "chat"])),
        ("data-bot", json!(["AI", "data-analysis"])),
    ] {
        let mut document = agent_document(name);
        document["metadata"]["tags"] = tags;
        platform.add_template(name, &document);
    }
    let list = || client.list_templates();
    for (list, expected) in [
        (list(), vec!["echo", "chat-bot", "data-bot"]),
        (list().tags(["ai", "data-analysis"]), vec!["data-bot"]),
        (list().tag("ai").tag("chat"), vec!["chat-bot"]),
        (list().tags(["ai"]).name("chat"), vec!["chat-bot"]),
        (list().name("BOT"), vec!["chat-bot", "data-bot"]),
        (
            client.templates().list_templates().name("echo"),
            vec!["echo"],
        ),
    ] {
        let described = format!("{list:?}");
        let names: Vec<_> = list.await.unwrap().into_iter().map(|t| t.name).collect();
        assert_eq!(names, expected, "{described}");
    }
}

/// An option that is set after the first poll is not ignored: setting it panics.
#[tokio::test]
#[should_panic(expected = "until it is first polled")]
async fn an_option_after_the_first_poll_is_a_panic() {
    let platform = ScriptedPlatform::start().await;
    let mut creating = client_of(&platform).create_session("tmpl_1");
    poll_fn(|cx| {
        assert!(Pin::new(&mut creating).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(creating.env("A", "B"));
}
