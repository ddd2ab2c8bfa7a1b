use std::time::Duration;

use ppio_test_support::{AgentProcess, call};
use serde_json::json;

#[tokio::test]
async fn notes_are_kept_in_a_file_between_two_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    for (note, expected) in [
        ("milk", json!(["milk"])),
        ("bread", json!(["milk", "bread"])),
    ] {
        let agent = AgentProcess::example("state").env("NOTES", &file).start();
        let answer = call::invoke(&agent, &json!(note)).await;
        assert_eq!(answer.result().await, expected);
        assert!(agent.stop_gracefully().success());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "milk\nbread");

    let mut agent = AgentProcess::example("state")
        .env("NOTES", directory.path())
        .spawn();
    assert_eq!(agent.wait(Duration::from_secs(20)).code(), Some(1));
    let log = agent.stderr();
    let expected = "the startup function `open` at examples/state/src/main.rs:";
    assert!(log.contains(expected), "{log}");
}
