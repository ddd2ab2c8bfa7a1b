//! Answers of every shape, failures, and agents that send incorrect events.

use futures_util::stream::{self, Stream, StreamExt};
use ppio::{ChatEvent, json};
use ppio_test_support::with_timeout;

use super::{input, of_type, protocol_agent, run, text};
use crate::shapes::{Fails, SHAPES};
use crate::support::{Agent, config};

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_a_run() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let events = run(agent.address, &input("r", "hi")).await;
        let last = events.last().unwrap();
        match shape.fails {
            Some(Fails::First(_, text) | Fails::Later(text)) => {
                assert_eq!(last["type"], "RUN_ERROR", "{}", shape.name);
                let message = last["message"].as_str().unwrap();
                assert!(message.contains(text), "{}: {last}", shape.name);
            }
            None => {
                let expected = json!({"type": "success"});
                assert_eq!(last["outcome"], expected, "{}", shape.name);
            }
        }
        // A value that is not text is the `result` of the last event; such an item is `CUSTOM`.
        let customs = of_type(&events, "CUSTOM").into_iter();
        let customs: Vec<_> = customs.map(|event| event["value"].to_string()).collect();
        let found = match shape.name {
            "typed_value" => last["result"].to_string(),
            "struct_stream" => customs.join("\n"),
            _ => text(&events),
        };
        assert_eq!(found, shape.text(), "{}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_the_last_event() {
    let agent = protocol_agent();
    for (prompt, texts, code, message) in [
        ("fail-first", 0, "ModelError", "no such model"),
        ("fail-later", 2, "ModelError", "the model went away"),
        ("panic", 0, "Panic", "the agent panicked"),
    ] {
        let events = run(agent.addr(), &input(prompt, prompt)).await;
        let contents = of_type(&events, "TEXT_MESSAGE_CONTENT");
        assert_eq!(contents.len(), texts, "{events:?}");
        let last = events.last().unwrap();
        assert_eq!(last["type"], "RUN_ERROR", "{prompt}");
        assert_eq!(last["code"], code, "{prompt}");
        let found = last["message"].as_str().unwrap();
        assert!(found.contains(message), "{prompt}: {found}");
    }
}

mod careless {
    use super::{ChatEvent, Stream, config, json, stream};

    /// Leaves steps and tool calls open, and ends steps and tool calls that are not open.
    #[ppio::entrypoint(config = config())]
    async fn agent(_request: ppio::Value) -> impl Stream<Item = ChatEvent> {
        let [start, arguments, end] = ChatEvent::tool_call("c", "look", &json!({}));
        let step = ChatEvent::StepStart { name: "s".into() };
        let end_of_other = ChatEvent::StepEnd { name: "o".into() };
        stream::iter([
            step.clone(),
            end.clone(),
            arguments.clone(),
            start.clone(),
            arguments,
            "while it is open".into(),
            "".into(),
            start,
            step,
            end_of_other,
            ChatEvent::reasoning("hm"),
            ChatEvent::reasoning(""),
            ChatEvent::tool_error("c", "no camera"),
            end,
            ChatEvent::tool_result("unknown", json!([1])),
            ChatEvent::reasoning("and"),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclosed_steps_and_tool_calls_are_closed() {
    let agent = Agent::start_module(&format!("{}::careless", module_path!())).await;
    let events = run(agent.address, &input("r", "go")).await;
    let results = of_type(&events, "TOOL_CALL_RESULT");
    assert_eq!(results[0]["content"], "no camera");
    assert_eq!(results[0]["metadata"], json!({"isError": true}));
    assert_eq!(results[1]["content"], "[1]");
    assert_eq!(text(&events), "while it is open");
    let last = events.last().unwrap();
    assert_eq!(last["outcome"], json!({"type": "success"}), "{events:?}");
}

mod wrong_patch {
    use super::{ChatEvent, Stream, StreamExt, config, json, stream};

    #[ppio::entrypoint(config = config())]
    async fn agent(_request: ppio::Value) -> impl Stream<Item = ChatEvent> {
        let patch = vec![json!({"op": "set", "path": "/a", "value": 1})];
        stream::iter([ChatEvent::StateDelta { patch }, "never sent".into()])
            .chain(stream::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_clients_cannot_read_fails_the_run() {
    let agent = Agent::start_module(&format!("{}::wrong_patch", module_path!())).await;
    let input = input("r", "go");
    // The timeout catches a run that does not fail, because the agent's stream never ends.
    let events = with_timeout("the end of the run", run(agent.address, &input)).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[1]["code"], "InvalidStateDelta");
    let message = events[1]["message"].as_str().unwrap();
    assert!(message.contains(r#""op":"set""#), "{message}");
}
