use ppio_test_support::{AgentProcess, call};
use serde_json::json;

#[tokio::test]
async fn each_word_is_a_separate_item() {
    let agent = AgentProcess::start("stream");
    let mut answer = call::invoke(&agent, &json!({ "prompt": "one two three" })).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "no-cache");
    for word in ["one ", "two ", "three"] {
        assert_eq!(answer.next_items().await, Some(vec![json!(word)]));
    }
    assert_eq!(answer.next_items().await, None);
}

#[tokio::test]
async fn a_request_without_a_prompt_is_refused_before_the_stream() {
    let agent = AgentProcess::start("stream");
    let answer = call::invoke(&agent, &json!({ "promt": "typo" })).await;
    let text = answer.error(422, "ValidationError").await;
    assert!(text.contains("missing field `prompt`"), "{text}");
}
