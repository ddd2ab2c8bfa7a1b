//! `OpenAI`'s chat completions.

use serde_json::{Value, json};

use crate::shapes::{Fails, SHAPES};
use crate::support::events;

fn request(stream: bool) -> Value {
    json!({
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_is_streamed() {
    for shape in SHAPES {
        let agent = shape.start().await;
        let answer = agent.post("/v1/chat/completions", &request(true)).await;
        if let Some(Fails::First(status, text)) = shape.fails {
            assert_eq!(answer.status(), status, "{}", shape.name);
            let error = answer.json().await;
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains(text), "{}: {error}", shape.name);
            continue;
        }
        assert_eq!(answer.status(), 200, "{}", shape.name);
        let events = events(&answer.text().await);
        let (last, chunks) = events.split_last().unwrap();
        assert_eq!(last.1, "[DONE]", "{}", shape.name);
        let mut text = String::new();
        let mut failed = None;
        for (_, chunk) in chunks {
            let chunk: Value = serde_json::from_str(chunk).unwrap();
            if let Some(error) = chunk["error"]["message"].as_str() {
                failed = Some(error.to_owned());
            }
            text += chunk["choices"][0]["delta"]["content"]
                .as_str()
                .unwrap_or_default();
        }
        assert_eq!(text, shape.text(), "{}", shape.name);
        match shape.fails {
            Some(Fails::Later(expected)) => assert_eq!(failed.as_deref(), Some(expected)),
            _ => assert_eq!(failed, None, "{}", shape.name),
        }
    }
}
