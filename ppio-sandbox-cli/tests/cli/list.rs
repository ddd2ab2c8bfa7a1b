//! `agent list`: which agents it lists.

use ppio_agent_protocol::AgentConfig;
use ppio_sandbox_local::TemplateSpec;

use crate::support::Sandbox;

fn agent(name: &str, tags: &str) -> TemplateSpec {
    let config = AgentConfig::from_json(&format!(
        r#"{{"metadata": {{"name": "{name}", "version": "1.0.0", "author": "a@example.com", "tags": {tags}}},
            "spec": {{}}}}"#
    ));
    let template = TemplateSpec::new(name).start_command("true");
    template.config(config.expect("a valid configuration"))
}

#[test]
fn agents_are_selected_by_tags_and_name() {
    let sandbox = Sandbox::with([
        agent("chat-agent", r#"["ai"]"#),
        agent("data-agent", r#"["ai", "data"]"#),
        agent("data-report", r#"["data"]"#),
    ]);
    for (flags, expected) in [
        (&[][..], &["chat-agent", "data-agent", "data-report"][..]),
        (&["--tag", "ai"], &["chat-agent", "data-agent"]),
        (&["--tag", "AI", "--tag", "data"], &["data-agent"]),
        (&["--name", "Data"], &["data-agent", "data-report"]),
        (&["--name", "agent", "--tag", "data"], &["data-agent"]),
        (&["--tag", "other"], &[]),
    ] {
        let list = sandbox.command(["agent", "list", "--json"]).args(flags);
        let done = list.run().code(0);
        let agents = done.json();
        let names = agents.as_array().expect("a list").iter();
        let names: Vec<_> = names.filter_map(|agent| agent["name"].as_str()).collect();
        assert_eq!(names, expected, "{flags:?}");
    }
    let none = sandbox.command(["agent", "list", "--name", "other"]).run();
    none.code(0).says("match the given filters");
    for flag in ["--tag", "--name"] {
        let empty = sandbox.command(["agent", "list", flag, ""]).run();
        empty.code(2).says("the value is empty");
    }
}
