use ppio_test_support::{AgentProcess, call, eventually_some};
use serde_json::{Value, json};

#[tokio::test]
async fn routes_and_the_entrypoint_share_a_state() {
    let agent = AgentProcess::start("routes");
    for (number, note) in ["buy milk", "call ann"].into_iter().enumerate() {
        let answer = call::send(&agent, "POST", "/notes", &[], note.to_owned()).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.json().await, json!(number));
    }
    let answer = call::get(&agent, "/notes/1").await;
    assert_eq!(answer.text().await, "call ann");
    assert_eq!(call::get(&agent, "/notes/2").await.status(), 404);
    let answer = call::invoke(&agent, &json!({"prompt": "milk"})).await;
    assert_eq!(answer.result().await, json!(["buy milk"]));
    let answer = call::send(&agent, "POST", "/ping", &[], String::new()).await;
    answer.error(405, "MethodNotAllowed").await;
}

#[tokio::test]
async fn the_log_has_the_path_and_the_ids_of_a_request() {
    let agent = AgentProcess::example("routes")
        .env("PPIO_AGENT_LOG", "info")
        .start();
    let headers = [("x-request-id", "r-1")];
    let path = "/notes/7?token=secret";
    let answer = call::send(&agent, "GET", path, &headers, String::new()).await;
    assert_eq!(answer.status(), 404);
    let line = eventually_some("a line", async || {
        let log = agent.stderr();
        println!("{log}");
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut lines = lines.filter(|line: &Value| line["request_id"] == "r-1");
        lines.next()
    })
    .await;
    assert_eq!(line["message"], "request of a route refused");
    assert_eq!(line["status"], 404);
    let span = json!({"name": "route", "method": "GET", "path": "/notes/7"});
    assert_eq!(line["spans"], json!([span]));
}
