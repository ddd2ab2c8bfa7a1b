//! Answers of every shape, failures, and agents that send incorrect events.

use futures_util::stream::{self, Stream};
use ppio::{ChatEvent, Value, json};

use super::{chunks, of_type, post, protocol_agent, request, run, text};
use crate::shapes::{Fails, SHAPES};
use crate::support::{Agent, config};

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_a_message() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let answer = post(agent.address, &[], &request("c", "hi")).await;
        if let Some(Fails::First(status, text)) = shape.fails {
            assert_eq!(answer.status(), status, "{}", shape.name);
            let error = answer.json().await;
            assert_eq!(error["type"], "error", "{}", shape.name);
            let message = error["errorText"].as_str().unwrap();
            assert!(message.contains(text), "{}: {error}", shape.name);
            continue;
        }
        let chunks = chunks(answer).await;
        let last = chunks.last().unwrap();
        match shape.fails {
            Some(Fails::Later(text)) => {
                assert_eq!(*last, json!({"type": "error", "errorText": text}));
            }
            _ => assert_eq!(*last, json!({"type": "finish", "finishReason": "stop"})),
        }
        // Values other than text become data.
        let values = of_type(&chunks, "data-value").into_iter();
        let values: Vec<_> = values.map(|chunk| chunk["data"].to_string()).collect();
        let found = match shape.name {
            "typed_value" | "struct_stream" => values.join("\n"),
            _ => text(&chunks),
        };
        assert_eq!(found, shape.text(), "{}", shape.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_a_status_or_the_last_chunk() {
    let agent = protocol_agent();
    for (prompt, status, text) in [
        ("fail-first", 400, "no such model"),
        ("panic", 500, "the agent panicked"),
    ] {
        let answer = post(agent.addr(), &[], &request(prompt, prompt)).await;
        assert_eq!(answer.status(), status, "{prompt}");
        let error = answer.json().await;
        let found = error["errorText"].as_str().unwrap();
        assert!(found.contains(text), "{prompt}: {error}");
    }
    let chunks = run(agent.addr(), &request("later", "fail-later")).await;
    assert_eq!(text(&chunks), "Hello, ");
    let last = json!({"type": "error", "errorText": "the model went away"});
    assert_eq!(*chunks.last().unwrap(), last);
}

mod careless {
    use super::{ChatEvent, Stream, Value, config, json, stream};

    /// Leaves steps and tool calls open, and ends steps and tool calls that are not open.
    #[ppio::entrypoint(config = config())]
    async fn agent(_request: Value) -> impl Stream<Item = ChatEvent> {
        let [start, arguments, end] = ChatEvent::tool_call("c", "look", &json!({}));
        let step = ChatEvent::StepStart { name: "s".into() };
        let end_of_step = ChatEvent::StepEnd { name: "o".into() };
        stream::iter([
            end_of_step.clone(),
            end.clone(),
            arguments.clone(),
            start.clone(),
            arguments,
            "while it is open".into(),
            "".into(),
            start,
            ChatEvent::ToolCallArguments {
                id: "c".into(),
                delta: "{\"a\":".into(),
            },
            step.clone(),
            step,
            ChatEvent::reasoning("hm"),
            ChatEvent::reasoning(""),
            ChatEvent::tool_error("c", "no camera"),
            end,
            end_of_step,
            ChatEvent::tool_result("unknown", json!([1])),
            ChatEvent::reasoning("and"),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unclosed_steps_and_tool_calls_are_closed() {
    let agent = Agent::start_module(&format!("{}::careless", module_path!())).await;
    let chunks = run(agent.address, &request("c", "go")).await;
    let [unfinished] = of_type(&chunks, "tool-input-error")[..] else {
        panic!("{chunks:?}");
    };
    assert_eq!(unfinished["input"], "{\"a\":");
    let error = of_type(&chunks, "tool-output-error")[0];
    assert_eq!(error["errorText"], "no camera");
    let output = of_type(&chunks, "tool-output-available")[0];
    assert_eq!(output["output"], json!([1]));
    assert_eq!(text(&chunks), "while it is open");
    assert_eq!(chunks.last().unwrap()["finishReason"], "stop");
}
