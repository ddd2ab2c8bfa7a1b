use std::time::{Duration, Instant};

use ppio_test_support::{AgentProcess, call, eventually_some};
use serde_json::{Value, json};

fn start() -> AgentProcess {
    AgentProcess::example("middleware")
        .env("AGENT_USERS", "ada:sesame,alan:enigma")
        .start()
}

/// Returns the log lines of `timing`, once there are `count` of them.
async fn answered(agent: &AgentProcess, count: usize) -> Vec<Value> {
    eventually_some(&format!("{count} lines"), async || {
        let log = agent.stderr();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines
            .filter(|it: &Value| it["message"] == "answered")
            .collect();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

#[tokio::test]
async fn the_entrypoint_receives_the_name_of_the_caller() {
    let agent = start();
    for (token, name) in [("sesame", "ada"), ("enigma", "alan")] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let answer = call::invoke_with(&agent, &headers, &json!({})).await;
        assert_eq!(answer.items().await, ["Good", "day,", name]);
    }
}

#[tokio::test]
async fn a_request_without_a_valid_token_is_refused_and_the_health_check_is_not() {
    let agent = start();
    for headers in [
        &[][..],
        &[("authorization", "Bearer wrong")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Basic sesame")],
    ] {
        let answer = call::invoke_with(&agent, headers, &json!({})).await;
        answer.error(401, "Unauthorized").await;
    }
    // `start` has already received a healthy `/ping` response without a token.
    let ping = call::get(&agent, "/ping").await.json().await;
    assert_eq!(ping["status"], "Healthy");
}

#[tokio::test]
async fn whole_streams_and_refusals_are_timed() {
    let agent = start();
    let id = [("x-request-id", "r-1")];
    call::invoke_with(&agent, &id, &json!({}))
        .await
        .error(401, "Unauthorized")
        .await;
    let known = [("authorization", "Bearer sesame"), ("x-request-id", "r-2")];
    let request = json!({ "sandbox_id": "s-1" });
    let started = Instant::now();
    let items = call::invoke_with(&agent, &known, &request)
        .await
        .items()
        .await;
    let took = started.elapsed();
    assert_eq!(items.len(), 3);
    // The third caller disconnects after the first word.
    let mut leaving = call::invoke_with(&agent, &known, &request).await;
    leaving.next_items().await.unwrap();
    drop(leaving);

    let lines = answered(&agent, 3).await;
    assert_eq!(
        (&lines[0]["status"], &lines[0]["end"]),
        (&json!(401), &json!("Complete"))
    );
    assert_eq!(lines[0]["request_id"], "r-1");
    assert_eq!(
        (&lines[1]["status"], &lines[1]["end"]),
        (&json!(200), &json!("Complete"))
    );
    assert_eq!(
        (&lines[1]["request_id"], &lines[1]["session_id"]),
        (&json!("r-2"), &json!("s-1"))
    );
    // The stream pauses before each of its three words. The time in the log is shorter than the
    // time that the caller measured.
    let elapsed = lines[1]["elapsed"]
        .as_str()
        .unwrap()
        .strip_suffix("ms")
        .unwrap();
    let elapsed = Duration::from_secs_f64(elapsed.parse::<f64>().unwrap() / 1e3);
    assert!(
        (Duration::from_millis(600)..took).contains(&elapsed),
        "{elapsed:?}"
    );
    assert_eq!(lines[2]["end"], "Dropped");
}
