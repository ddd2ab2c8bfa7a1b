use ppio_test_support::{AgentProcess, call};
use serde_json::json;

#[tokio::test]
async fn primes_are_streamed_in_order() {
    let agent = AgentProcess::start("blocking");
    let answer = call::invoke(&agent, &json!({ "from": 0, "to": 30 })).await;
    let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29];
    assert_eq!(answer.items().await, primes);
}

#[tokio::test]
async fn the_function_can_reject_a_request() {
    let agent = AgentProcess::start("blocking");
    let answer = call::invoke(&agent, &json!({ "from": 0, "to": 10_u64.pow(13) })).await;
    let text = answer.error(400, "RangeTooLarge").await;
    assert_eq!(text, "`to` is larger than 1000000000000");
}

/// There are more callers than threads, and each call could occupy a thread for a day.
#[tokio::test]
async fn health_checks_are_answered_while_every_thread_is_busy() {
    let agent = AgentProcess::example("blocking")
        .env("PPIO_AGENT_BLOCKING_THREADS", "2")
        .start();
    let endless = json!({ "from": 0, "to": 10_u64.pow(12) });
    let mut callers = Vec::new();
    for _ in 0..4 {
        callers.push(call::invoke(&agent, &endless).await);
    }
    for caller in &mut callers {
        let first = caller.next_items().await.unwrap();
        assert_eq!(first[0], 2);
    }
    let ping = call::get(&agent, "/ping").await;
    assert_eq!(ping.json().await["status"], "Healthy");
    drop(callers);
    // Each iterator is dropped when its caller disconnects, so the threads are free for the next
    // call.
    let answer = call::invoke(&agent, &json!({ "from": 0, "to": 3 })).await;
    assert_eq!(answer.items().await, [2, 3]);
}
