//! One entrypoint that replies with a value or a stream, as the request selects.

use crate::support::{TestServer, config, invocation, invocation_with};
use futures_util::stream;
use ppio::{AgentRuntimeApp, Error, Reply, RequestContext, SseIter, Value, json};
use serde::Serialize;

#[derive(Serialize)]
struct Story {
    text: &'static str,
}

const WORDS: [&str; 3] = ["once", "upon", "a time"];

async fn assert_replies_as_requested(app: Result<AgentRuntimeApp, ppio::StartError>) {
    let server = TestServer::start(app).await;
    for (headers, body, is_stream) in [
        ("", r#"{"prompt":"x"}"#, false),
        ("", r#"{"stream":false}"#, false),
        ("", r#"{"stream":true}"#, true),
        ("accept: text/event-stream\r\n", "{}", true),
        (
            "accept: application/json, text/event-stream\r\n",
            "{}",
            false,
        ),
        ("accept: */*\r\n", r#"{"stream":true}"#, true),
    ] {
        let answer = server.send(invocation_with(headers, body)).await;
        if is_stream {
            assert_eq!(answer.events(), WORDS, "{headers}{body}");
        } else {
            assert_eq!(
                answer.result()["text"],
                "once upon a time",
                "{headers}{body}"
            );
        }
    }
    let error = server.send(invocation(r#"{"fail":true}"#)).await;
    assert_eq!(error.error(404, "NotFound"), "no story");
    assert_eq!(
        server
            .metric("invocations_total{outcome=\"success\"}")
            .await,
        6
    );
    assert_eq!(server.metric("stream_items_total").await, 9);
}

fn story(request: &Value) -> Result<Story, Error> {
    if request["fail"] == json!(true) {
        return Err(Error::not_found("no story"));
    }
    let text = "once upon a time";
    Ok(Story { text })
}

#[tokio::test]
async fn a_reply_is_a_value_or_a_stream() {
    let asynchronous = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: Value, context: RequestContext| async move {
            let story = story(&request)?;
            Ok::<_, Error>(if context.stream_requested() {
                Reply::Stream(stream::iter(WORDS.map(Ok::<_, Error>)))
            } else {
                Reply::Value(story)
            })
        })
        .build();
    assert_replies_as_requested(asynchronous).await;
    let blocking = AgentRuntimeApp::builder()
        .config(config())
        .entrypoint(|request: Value, context: RequestContext| {
            let story = story(&request)?;
            Ok::<_, Error>(if context.stream_requested() {
                Reply::Stream(SseIter(WORDS.into_iter().map(Ok::<_, Error>)))
            } else {
                Reply::Value(story)
            })
        })
        .build();
    assert_replies_as_requested(blocking).await;
}

mod annotated {
    use super::*;

    #[ppio::entrypoint]
    async fn agent(
        request: Value,
        context: &RequestContext,
    ) -> Result<Reply<Story, impl stream::Stream<Item = &'static str> + use<>>, Error> {
        let story = story(&request)?;
        Ok(if context.stream_requested() {
            Reply::Stream(stream::iter(WORDS))
        } else {
            Reply::Value(story)
        })
    }
}

#[tokio::test]
async fn an_annotated_function_replies_in_the_same_way() {
    // The attribute sets no port, and the default port may be in use, so there is no socket.
    let app = AgentRuntimeApp::annotated_in(concat!(module_path!(), "::annotated"));
    let agent = ppio::testing::TestAgent::new(app.expect("an agent"));
    let reply = agent.invoke(&json!({"stream": true})).await;
    assert_eq!(reply.items::<String>().await, WORDS);
    let reply = agent.invoke(&json!({})).await;
    assert_eq!(reply.value::<Value>().await["text"], "once upon a time");
    let reply = agent.invoke(&json!({"fail": true})).await;
    assert_eq!(reply.error().await.status(), 404);
}
