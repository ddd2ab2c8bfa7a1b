//! `agent list | status | stop | delete`.

use ppio_sandbox_local::TemplateSpec;
use serde_json::json;

use crate::support::{Sandbox, agent, on_runtime};

/// Returns a platform with two agents and a template without an agent.
fn platform() -> Sandbox {
    let hello = ppio_test_support::example_binary("hello");
    Sandbox::with([
        agent("beta", &hello),
        agent("alpha", &hello),
        TemplateSpec::new("no-agent").binary(&hello),
    ])
}

/// Opens sessions and detaches them.
fn open(sandbox: &Sandbox, template: &str, count: usize) -> Vec<String> {
    on_runtime(async {
        let client = sandbox.client();
        let mut ids = Vec::new();
        for _ in 0..count {
            let session = client.create_session(template).await.expect("made");
            ids.push(session.detach());
        }
        ids
    })
}

#[test]
fn the_list_shows_agents_and_how_many_sandboxes_each_has() {
    let sandbox = platform();
    open(&sandbox, "beta", 2);
    open(&sandbox, "no-agent", 1);
    let agents = sandbox.run(["agent", "list", "--json"]).code(0).json();
    let alpha = json!({
        "template_id": sandbox.template("alpha"), "name": "alpha", "version": "1.0.0",
        "tags": agents[0]["tags"], "status": "ready", "sandboxes": 0,
    });
    assert_eq!(agents[0], alpha);
    assert!(
        agents[0]["tags"]
            .as_array()
            .is_some_and(|tags| tags.contains(&json!("test")))
    );
    assert_eq!(
        (&agents[1]["name"], &agents[1]["sandboxes"]),
        (&json!("beta"), &json!(2))
    );
    assert_eq!(agents.as_array().map(Vec::len), Some(2));

    let text = sandbox.run(["agent", "list"]).code(0).stdout;
    let rows: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..3], ["NAME", "VERSION", "TEMPLATE"]);
    assert_eq!(
        rows[1][..5],
        ["alpha", "1.0.0", &sandbox.template("alpha"), "ready", "0"]
    );
    assert_eq!(rows.len(), 3);
}

#[test]
fn an_empty_list_is_not_an_error() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let done = sandbox.run(["agent", "list"]).code(0);
    assert_eq!(done.stdout, "");
    done.says("no agents on the local platform")
        .says("agent deploy");
    assert_eq!(
        sandbox.run(["agent", "list", "--json"]).code(0).json(),
        json!([])
    );
}

#[test]
fn status_shows_the_file_the_template_and_the_sessions() {
    let sandbox = platform();
    let template = sandbox.template("alpha");
    let project = sandbox.project("alpha", &template);
    let ids = open(&sandbox, "alpha", 2);
    open(&sandbox, "beta", 1);

    let command = ["agent", "status", "--json"];
    let status = sandbox
        .command(command)
        .in_folder(&project)
        .run()
        .code(0)
        .json();
    assert_eq!(status["name"], "alpha");
    assert_eq!(status["deployment"]["phase"], "deployed");
    assert_eq!(status["template"]["id"], template);
    assert_eq!(status["template"]["status"], "ready");
    let sessions = status["sessions"].as_array().expect("a list");
    let seen: Vec<_> = sessions
        .iter()
        .map(|session| session["id"].clone())
        .collect();
    // Oldest first.
    assert_eq!(json!(seen), json!(ids));
    assert_eq!(sessions[0]["state"], "running");
    assert!(sessions[0]["started_at"].is_string() && sessions[0]["end_at"].is_string());

    let text = sandbox
        .command(["agent", "status"])
        .in_folder(&project)
        .run()
        .code(0)
        .stdout;
    for expected in [
        "agent     alpha 1.0.0",
        "phase     deployed",
        &template,
        &ids[0],
        "sessions  2",
    ] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }

    // The agent is selected by its name, without a project.
    let named = sandbox
        .run(["agent", "status", "--template-id", "beta", "--json"])
        .code(0)
        .json();
    assert_eq!(named["name"], "beta");
    assert_eq!(named["deployment"], json!(null));
}

#[test]
fn stop_closes_the_sessions_of_one_agent_or_one_session() {
    let sandbox = platform();
    let ids = open(&sandbox, "alpha", 2);
    let other = open(&sandbox, "beta", 2);

    let done = sandbox
        .run(["agent", "stop", "--template-id", "alpha", "--json"])
        .code(0);
    assert_eq!(done.json(), json!({ "closed": ids }));
    let mut left = sandbox.sandboxes();
    left.sort();
    let mut expected = other.clone();
    expected.sort();
    assert_eq!(left, expected);

    let done = sandbox
        .run(["agent", "stop", "--session", &other[0]])
        .code(0);
    assert_eq!(done.stdout, format!("closed {}\n", other[0]));
    assert_eq!(sandbox.sandboxes(), other[1..]);
    let again = sandbox
        .run(["agent", "stop", "--session", &other[0]])
        .code(3);
    again
        .says(&format!("cannot close session {}", other[0]))
        .says("agent status");

    let none = sandbox
        .run(["agent", "stop", "--template-id", "alpha"])
        .code(0);
    assert_eq!(none.stdout, "");
    none.says("no session is open");
}

#[test]
fn delete_needs_a_confirmation_and_removes_the_deployment_from_agent_yaml() {
    let sandbox = platform();
    let template = sandbox.template("alpha");
    let project = sandbox.project("alpha", &template);
    open(&sandbox, "alpha", 1);
    let other = open(&sandbox, "beta", 1);
    let file = project.join("agent.yaml");
    let before = std::fs::read_to_string(&file).expect("agent.yaml");

    let unasked = sandbox
        .command(["agent", "delete"])
        .in_folder(&project)
        .run()
        .code(2);
    unasked.says("needs a confirmation").says("--yes");
    assert_eq!(sandbox.template("alpha"), template);
    assert_eq!(std::fs::read_to_string(&file).expect("agent.yaml"), before);

    let command = sandbox
        .command(["agent", "delete", "--yes"])
        .in_folder(&project);
    let done = command.run().code(0);
    assert_eq!(
        done.stdout,
        format!("deleted alpha (template {template}) from the local platform\n")
    );
    assert_eq!(sandbox.sandboxes(), other);
    let after = std::fs::read_to_string(&file).expect("agent.yaml");
    let without_status = before.split("status:").next().expect("the rest");
    assert_eq!(after.trim_end(), without_status.trim_end());

    // A second deletion is an error: agent.yaml has no deployment.
    let again = sandbox
        .command(["agent", "delete", "--yes"])
        .in_folder(&project)
        .run()
        .code(2);
    again.says("alpha is not deployed yet");
    let gone = sandbox
        .run(["agent", "delete", "--yes", "--template-id", &template])
        .code(3);
    gone.says("not found");
    let listed = sandbox.run(["agent", "list", "--json"]).code(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
}

#[test]
fn deleting_by_name_leaves_the_project_unchanged() {
    let sandbox = platform();
    let project = sandbox.project("alpha", &sandbox.template("alpha"));
    let before = std::fs::read_to_string(project.join("agent.yaml")).expect("agent.yaml");
    let done = sandbox
        .command(["agent", "delete", "-y", "--template-id", "beta", "--json"])
        .in_folder(&project)
        .run()
        .code(0);
    assert_eq!(done.json()["name"], "beta");
    let after = std::fs::read_to_string(project.join("agent.yaml")).expect("agent.yaml");
    assert_eq!(after, before);
}
