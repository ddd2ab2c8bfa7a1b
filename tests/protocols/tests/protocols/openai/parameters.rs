//! Every parameter of the published API reaches the agent, is honoured, or is refused.

use serde_json::{Map, Value, json};

use super::responses::output_text;
use super::{post, start};

/// Returns the parameters that both APIs have and that the agent receives under the same names.
fn shared() -> Value {
    json!({
        "model": "m", "temperature": 0.5, "metadata": {"a": "b"}, "top_p": 0.1,
        "parallel_tool_calls": false, "tool_choice": "none", "top_logprobs": 3,
        "service_tier": "flex", "safety_identifier": "s", "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "x"}, "prompt_cache_retention": "24h",
        "moderation": {"mode": "x"},
    })
}

fn completion() -> Value {
    json!({
        "response_format": {"type": "json_object"}, "stop": ["\n"], "store": true,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "logit_bias": {"1": 2}, "seed": 7,
        "logprobs": true, "prediction": {"type": "content", "content": "x"},
        "web_search_options": {}, "reasoning_effort": "low", "verbosity": "low",
        "function_call": "auto", "modalities": ["text"], "audio": {"voice": "x", "format": "mp3"},
        "stream_options": {"include_obfuscation": false},
    })
}

fn response() -> Value {
    json!({
        "text": {"format": {"type": "json_object"}}, "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"], "max_tool_calls": 2, "truncation": "auto",
        "context_management": [{"type": "compaction"}], "background_options": {"a": 1},
        "access_programs": ["a"], "image": {"a": 1},
        "stream_options": {"include_obfuscation": false},
    })
}

fn members(parts: [Value; 3]) -> Map<String, Value> {
    let parts = parts.into_iter();
    parts
        .flat_map(|part| part.as_object().cloned().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_is_dropped() {
    let agent = start();
    let agent = agent.addr();
    let input = json!({"messages": [{"role": "user", "content": "echo"}]});
    let body = members([input, shared(), completion()]);
    let answer = post(agent, "/v1/chat/completions", &body.into()).await;
    let seen = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let seen: Value = serde_json::from_str(seen).unwrap();
    for (name, value) in members([shared(), completion(), json!({})]) {
        assert_eq!(seen[&name], value, "{name} of a completion in {seen}");
    }

    let input = json!({"input": "echo", "conversation": {"id": "c"}});
    let body = members([input, shared(), response()]);
    let answer = post(agent, "/v1/responses", &body.into()).await;
    let seen: Value = serde_json::from_str(&output_text(&answer)).unwrap();
    for (name, value) in members([shared(), response(), json!({"thread_id": "c"})]) {
        assert_eq!(seen[&name], value, "{name} of a response in {seen}");
    }

    // Parameters that the agent receives under another name.
    for (path, renamed, seen_as) in [
        ("completion", "max_tokens", "max_tokens"),
        ("completion", "max_completion_tokens", "max_tokens"),
        ("completion", "user", "user_id"),
        ("response", "max_output_tokens", "max_tokens"),
        ("response", "user", "user_id"),
    ] {
        let value = if renamed == "user" {
            json!("u")
        } else {
            json!(9)
        };
        let seen = if path == "completion" {
            let messages = json!([{"role": "user", "content": "echo"}]);
            let body = json!({"messages": messages, renamed: value});
            let answer = post(agent, "/v1/chat/completions", &body).await;
            answer["choices"][0]["message"]["content"]
                .as_str()
                .unwrap()
                .to_owned()
        } else {
            let body = json!({"input": "echo", renamed: value});
            output_text(&post(agent, "/v1/responses", &body).await)
        };
        let seen: Value = serde_json::from_str(&seen).unwrap();
        assert_eq!(seen[seen_as], value, "{renamed} of a {path} in {seen}");
    }
}
