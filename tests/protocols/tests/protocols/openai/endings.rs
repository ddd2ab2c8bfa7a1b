//! The ends of answers, and tool calls that are made concurrently.

use futures_util::stream::{self, Stream};
use ppio::{ChatEvent, FinishReason, InvocationRequest};
use serde_json::{Value, json};

use super::responses::read;
use super::tool;
use crate::support::{Agent, events};

const COMPLETIONS: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

mod finishing {
    use super::{ChatEvent, FinishReason, InvocationRequest, Stream, stream};

    /// Ends for the reason that the prompt names.
    #[ppio::entrypoint(config = crate::support::config())]
    async fn agent(request: InvocationRequest) -> impl Stream<Item = ChatEvent> {
        let reason = match request.prompt.as_deref() {
            Some("length") => FinishReason::Length,
            Some("content_filter") => FinishReason::ContentFilter,
            Some("other") => FinishReason::Other,
            _ => FinishReason::Stop,
        };
        stream::iter([ChatEvent::text("Hello"), ChatEvent::Finish { reason }])
    }
}

mod calling {
    use super::{ChatEvent, InvocationRequest, Stream, stream};

    /// Calls two tools of the caller and one of its own, and does not end one of these calls.
    #[ppio::entrypoint(config = crate::support::config())]
    async fn agent(_request: InvocationRequest) -> impl Stream<Item = ChatEvent> {
        let start = |id: &str, name: &str| ChatEvent::ToolCallStart {
            id: id.into(),
            name: name.into(),
        };
        let add = |id: &str, delta: &str| ChatEvent::ToolCallArguments {
            id: id.into(),
            delta: delta.into(),
        };
        stream::iter([
            ChatEvent::text("Wait."),
            start("a", "get_weather"),
            start("own", "search"),
            start("b", "get_weather"),
            add("b", "{\"city\":"),
            add("own", "{}"),
            add("a", "{}"),
            ChatEvent::ToolCallEnd { id: "a".into() },
            ChatEvent::tool_result("own", "found"),
            add("b", "\"Rome\"}"),
            ChatEvent::text("So."),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_its_finish_reason() {
    let agent = Agent::start_module(&format!("{}::finishing", module_path!())).await;
    for (prompt, finish, status, incomplete) in [
        ("stop", "stop", "completed", Value::Null),
        ("other", "stop", "completed", Value::Null),
        (
            "length",
            "length",
            "incomplete",
            json!({"reason": "max_output_tokens"}),
        ),
        (
            "content_filter",
            "content_filter",
            "incomplete",
            json!({"reason": "content_filter"}),
        ),
    ] {
        let mut body = json!({"messages": [{"role": "user", "content": prompt}]});
        let whole = agent.post(COMPLETIONS, &body).await.json().await;
        assert_eq!(whole["choices"][0]["finish_reason"], finish, "{prompt}");
        body["stream"] = true.into();
        let chunks = events(&agent.post(COMPLETIONS, &body).await.text().await);
        let last: Value = serde_json::from_str(&chunks[chunks.len() - 2].1).unwrap();
        assert_eq!(last["choices"][0]["finish_reason"], finish, "{prompt}");

        let whole = agent
            .post(RESPONSES, &json!({"input": prompt}))
            .await
            .json()
            .await;
        assert_eq!(whole["status"], status, "{prompt}");
        assert_eq!(whole["incomplete_details"], incomplete, "{prompt}");
        assert_eq!(whole["output"][0]["status"], status, "{prompt}");
        let body = json!({"input": prompt, "stream": true});
        let events = read(&agent.post(RESPONSES, &body).await.text().await, 0);
        let last = events.last().unwrap();
        assert_eq!(last["type"], format!("response.{status}"), "{prompt}");
        assert_eq!(last["response"]["status"], status, "{prompt}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_tool_calls_are_kept_apart() {
    let agent = Agent::start_module(&format!("{}::calling", module_path!())).await;
    let mut body = json!({"messages": [{"role": "user", "content": "hi"}], "tools": [tool()]});
    let whole = agent.post(COMPLETIONS, &body).await.json().await;
    let call = |id: &str, arguments: &str| {
        json!({"id": id, "type": "function",
               "function": {"name": "get_weather", "arguments": arguments}})
    };
    let calls = json!([call("a", "{}"), call("b", r#"{"city":"Rome"}"#)]);
    let message = &whole["choices"][0]["message"];
    assert_eq!(message["tool_calls"], calls);
    assert_eq!(message["content"], "Wait.So.");
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");

    body["stream"] = true.into();
    let chunks = events(&agent.post(COMPLETIONS, &body).await.text().await);
    let mut streamed = vec![String::new(); 2];
    for (_, chunk) in &chunks[..chunks.len() - 1] {
        let chunk: Value = serde_json::from_str(chunk).unwrap();
        for call in chunk["choices"][0]["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            streamed[index] += call["function"]["arguments"].as_str().unwrap();
        }
    }
    assert_eq!(streamed, ["{}", r#"{"city":"Rome"}"#]);

    let mut function = tool()["function"].clone();
    function["type"] = "function".into();
    let body = json!({"input": "hi", "tools": [function], "stream": true});
    let events = read(&agent.post(RESPONSES, &body).await.text().await, 0);
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["status"], "completed");
    let output: Vec<_> = response["output"].as_array().unwrap().iter().collect();
    let kinds: Vec<_> = output
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["message", "function_call", "function_call", "message"]
    );
    assert_eq!(output[1]["arguments"], "{}");
    assert_eq!(output[2]["arguments"], r#"{"city":"Rome"}"#);
    // Every item has one begin event and one end event, with its index.
    for (kind, expected) in [("added", [0, 1, 2, 3]), ("done", [0, 1, 3, 2])] {
        let name = format!("response.output_item.{kind}");
        let items = events.iter().filter(|event| event["type"] == name.as_str());
        let indexes: Vec<_> = items
            .map(|event| event["output_index"].as_u64().unwrap())
            .collect();
        assert_eq!(indexes, expected, "{kind}");
    }
    for event in events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
    {
        let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        assert_eq!(event["item"], *output[index]);
    }
}
