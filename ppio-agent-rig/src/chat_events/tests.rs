//! Tests the events of every item of a run.

use std::future::{pending, poll_fn};

use futures_util::{StreamExt as _, stream};
use rig::completion::{PromptError, Usage};
use rig::error::ProviderError;
use rig::message::{CallId, Citation, Source, ToolFunction, ToolName};
use rig::serde_json::from_value;

use super::*;

type RunItem = Result<MultiTurnStreamItem, PromptError>;

/// Returns the events of a run of these items.
async fn events_of(items: Vec<RunItem>) -> Vec<Result<ChatEvent, Error>> {
    events(stream::iter(items).boxed()).collect().await
}

/// Returns the events of a run that does not fail.
async fn events_of_success(items: Vec<MultiTurnStreamItem>) -> Vec<ChatEvent> {
    let events = events_of(items.into_iter().map(Ok).collect()).await;
    events.into_iter().map(Result::unwrap).collect()
}

/// Returns an item that a model streams, from its JSON form: rig has no public constructor for it.
fn streamed(event: &Value) -> MultiTurnStreamItem {
    let item = json!({ "item": "event", "value": event });
    MultiTurnStreamItem::StreamAssistantItem(from_value(item).unwrap())
}

fn streamed_text(text: &str) -> MultiTurnStreamItem {
    streamed(&json!({ "event": "text", "part": 0, "text": text }))
}

fn ended(content: &AssistantContent) -> MultiTurnStreamItem {
    streamed(&json!({ "event": "end", "part": 0, "content": content }))
}

fn completion(usage: Usage, reason: Option<RigFinishReason>) -> MultiTurnStreamItem {
    let call = CompletionCall::new(0, usage, Value::Null).with_finish_reason(reason);
    MultiTurnStreamItem::CompletionCall(call)
}

fn final_response(text: &str) -> MultiTurnStreamItem {
    MultiTurnStreamItem::final_response(vec![AssistantContent::text(text)], Usage::new())
}

fn call(arguments: &str) -> ToolCall {
    let name = ToolName::new("clock").unwrap();
    ToolCall::from_wire("c1", ToolFunction::parse(name, arguments))
}

fn tool_result(content: Vec<ToolResultContent>) -> MultiTurnStreamItem {
    let tool_result = call("{}").result(content);
    MultiTurnStreamItem::ToolResult { tool_result }
}

#[tokio::test]
async fn items_become_their_events() {
    let usage = from_value(json!({ "input_tokens": 7 })).unwrap();
    let image =
        AssistantContent::image_base64("AAAA", Some(rig::message::ImageMediaType::PNG), None);
    let source = |url: &str| Source::new(SourceLocation::Url { url: url.into() }).title("A page");
    let stored = Source::new(SourceLocation::ToolOutput { id: "t1".into() });
    let cited = Text::new("See there.").with_citations([
        Citation::new([source("https://a.example"), stored]),
        Citation::new([source("https://a.example"), source("https://b.example")]),
    ]);
    let source = |number: usize, url: &str| ChatEvent::Source {
        id: format!("source-{number}"),
        url: url.into(),
        title: Some("A page".into()),
    };
    for (item, expected) in [
        (streamed_text("Hel"), vec![ChatEvent::text("Hel")]),
        (streamed_text(""), vec![]),
        (
            streamed(&json!({ "event": "reasoning", "part": 0, "text": "hm" })),
            vec![ChatEvent::reasoning("hm")],
        ),
        (
            MultiTurnStreamItem::ToolCall {
                tool_call: call(r#"{"zone":"UTC"}"#),
            },
            ChatEvent::tool_call("c1", "clock", &json!({"zone": "UTC"})).to_vec(),
        ),
        // The deltas of a call have no id; the call follows.
        (
            streamed(&json!({ "event": "start", "part": 0, "kind": "tool_call", "name": "clock" })),
            vec![],
        ),
        (ended(&AssistantContent::ToolCall(call("{}"))), vec![]),
        (
            MultiTurnStreamItem::ToolExecutionCommitted {
                tool_call: call("{}"),
            },
            vec![],
        ),
        (
            ended(&AssistantContent::Text(cited)),
            vec![
                source(1, "https://a.example"),
                source(2, "https://b.example"),
            ],
        ),
        (
            ended(&image),
            vec![ChatEvent::data(
                "image",
                json!({"data": "AAAA", "media_type": "image/png"}),
            )],
        ),
        (
            completion(usage, None),
            vec![ChatEvent::Usage {
                input_tokens: 7,
                output_tokens: 0,
            }],
        ),
        (completion(Usage::new(), None), vec![]),
        (
            MultiTurnStreamItem::ModelTurnRetried { turn: 2 },
            vec![ChatEvent::data("retry", json!({"turn": 2}))],
        ),
    ] {
        let what = format!("{item:?}");
        assert_eq!(events_of_success(vec![item]).await, expected, "{what}");
    }
}

#[tokio::test]
async fn results_follow_their_calls() {
    let failed = MultiTurnStreamItem::ToolResult {
        tool_result: call("{}").error_result(vec![ToolResultContent::text("no such zone")]),
    };
    for (result, expected) in [
        (
            tool_result(vec![ToolResultContent::text("12:00")]),
            ChatEvent::tool_result("c1", "12:00"),
        ),
        (
            tool_result(vec![
                ToolResultContent::json(json!({"hour": 12})),
                ToolResultContent::image_url("https://a.example/clock.png", None, None),
            ]),
            ChatEvent::tool_result(
                "c1",
                json!([{"hour": 12}, {"url": "https://a.example/clock.png", "media_type": null}]),
            ),
        ),
        (failed, ChatEvent::tool_error("c1", "no such zone")),
    ] {
        let tool_call = call("{}");
        let mut events = ChatEvent::tool_call("c1", "clock", &json!({})).to_vec();
        events.push(expected);
        // rig does not report the call of a tool that the agent does not have.
        assert_eq!(events_of_success(vec![result.clone()]).await, events);
        let items = vec![MultiTurnStreamItem::ToolCall { tool_call }, result];
        assert_eq!(events_of_success(items).await, events);
    }
}

#[tokio::test]
async fn arguments_that_are_not_json_stay_as_the_model_wrote_them() {
    let tool_call = call(r#"{"zone": "UT"#);
    let events = events_of_success(vec![MultiTurnStreamItem::ToolCall { tool_call }]).await;
    let delta = r#"{"zone": "UT"#.to_owned();
    let id = call("{}").id.to_string();
    assert_eq!(events[1], ChatEvent::ToolCallArguments { id, delta });
}

#[tokio::test]
async fn a_call_without_an_id_has_the_same_id_as_its_result() {
    let mut without = call("{}");
    without.id = CallId::from_wire("");
    let tool_result = without.result(vec![ToolResultContent::text("12:00")]);
    let items = vec![
        MultiTurnStreamItem::ToolCall { tool_call: without },
        MultiTurnStreamItem::ToolResult { tool_result },
    ];
    let events = events_of_success(items).await;
    let (ChatEvent::ToolCallStart { id, .. }, ChatEvent::ToolResult { id: result, .. }) =
        (&events[0], &events[3])
    else {
        panic!("{events:?}");
    };
    assert_eq!(id, result);
    assert!(!id.is_empty());
}

#[tokio::test]
async fn the_final_response_sends_only_unstreamed_text_and_the_finish_reason() {
    for (reason, finish) in [
        (RigFinishReason::Stop, FinishReason::Stop),
        (RigFinishReason::Length, FinishReason::Length),
        (RigFinishReason::ContentFilter, FinishReason::ContentFilter),
        // A call of the tool that returns structured output.
        (RigFinishReason::ToolCalls, FinishReason::Stop),
        (
            RigFinishReason::Other("weather".into()),
            FinishReason::Other,
        ),
    ] {
        let items = vec![
            streamed_text("Hel"),
            streamed_text("lo"),
            completion(Usage::new(), Some(reason)),
            final_response("Hello"),
        ];
        let expected = [
            ChatEvent::text("Hel"),
            ChatEvent::text("lo"),
            ChatEvent::Finish { reason: finish },
        ];
        assert_eq!(events_of_success(items).await, expected);
    }
    // The text of an earlier turn is not that of the last one.
    let items = vec![
        streamed_text("I look."),
        MultiTurnStreamItem::ToolCall {
            tool_call: call("{}"),
        },
        tool_result(vec![ToolResultContent::text("12:00")]),
        final_response(r#"{"hour":12}"#),
    ];
    let events = events_of_success(items).await;
    assert_eq!(events.last(), Some(&ChatEvent::text(r#"{"hour":12}"#)));
}

#[tokio::test]
async fn an_error_ends_the_stream() {
    let items = vec![
        Ok(streamed_text("half a")),
        Err(ProviderError::Truncated.into()),
        Ok(streamed_text(" more")),
    ];
    let events = events_of(items).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].as_ref().unwrap(), &ChatEvent::text("half a"));
    let error = events[1].as_ref().unwrap_err();
    assert_eq!(error.message(), "the model's answer is incomplete");
}

#[tokio::test]
async fn dropping_the_events_drops_the_run() {
    let alive = std::sync::Arc::new(());
    let held = std::sync::Arc::clone(&alive);
    let run = stream::once(async move {
        let item = pending::<RunItem>().await;
        drop(held);
        item
    });
    let mut events = Box::pin(events(run.boxed()));
    let polled = poll_fn(|cx| Poll::Ready(events.as_mut().poll_next(cx).is_pending()));
    assert!(polled.await);
    assert_eq!(std::sync::Arc::strong_count(&alive), 2);
    drop(events);
    assert_eq!(std::sync::Arc::strong_count(&alive), 1);
}
