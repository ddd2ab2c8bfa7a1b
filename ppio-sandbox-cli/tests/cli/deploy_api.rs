//! `agent deploy` compares the API with that of the deployed agent.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::scaffold::{agent_yaml, command, edit, project, python_project};
use crate::support::{Sandbox, agent, eventually, on_runtime, python_agent, starting};

/// Writes an agent whose request has these members in addition to the prompt.
fn write_agent(folder: &Path, members: &str, answer: &str) {
    let program = format!(
        "
#[derive(serde::Deserialize)]
struct Request {{
    prompt: String,
    {members}
}}

#[ppio::entrypoint]
async fn agent(request: Request) -> String {{
    {answer}
}}
"
    );
    fs::write(folder.join("src/main.rs"), program).expect("written");
}

#[test]
fn a_change_that_breaks_callers_stops_the_deployment() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = project(&sandbox, "my-api", "hello");
    edit(
        &folder.join("Cargo.toml"),
        "[dependencies]\n",
        "[dependencies]\nserde = { version = \"1\", features = [\"derive\"] }\n",
    );
    let deploy = |arguments: &[&str]| {
        let arguments = [&["agent", "deploy"], arguments].concat();
        command(&sandbox, &folder, &arguments).run()
    };
    write_agent(&folder, "", "request.prompt");
    let first = deploy(&["--json"]).code(0).json_lines();
    assert_eq!(first.last().expect("a result")["api"], Value::Null);
    assert!(first.iter().all(|event| event["event"] != "api"));
    let template = sandbox.template("my-api");
    let before = agent_yaml(&folder);

    // Callers do not send the new member.
    write_agent(&folder, "city: String,", "request.prompt + &request.city");
    let text = "POST /invocations request /city: new required member";
    deploy(&[])
        .code(1)
        .says(&format!(
            "error: the API of my-api has a breaking change\n  {text}\nhelp: "
        ))
        .says("`--allow-breaking`");
    let change = json!({
        "severity": "breaking",
        "place": "POST /invocations request /city",
        "change": "new required member",
    });
    let events = deploy(&["--json"]).code(1).json_lines();
    let [.., api, last] = &*events else {
        panic!("too few events in {events:?}")
    };
    assert_eq!(
        *api,
        json!({"event": "api", "compared": true, "changes": [change]})
    );
    assert_eq!(last["event"], "failed");
    assert_eq!(last["code"], "breaking_changes");
    assert_eq!(last["api"]["changes"], json!([change]));
    assert_eq!(agent_yaml(&folder), before);
    assert_eq!(sandbox.sandboxes(), [""; 0]);
    assert_eq!(sandbox.invoke(&template, json!({"prompt": "Ada"})), "Ada");

    let allowed = deploy(&["--allow-breaking", "--json", "--quiet"]).code(0);
    assert_eq!(
        allowed.json()["api"],
        json!({"compared": true, "changes": [change]})
    );
    let request = json!({"prompt": "Ada", "city": " L."});
    assert_eq!(sandbox.invoke(&template, request), "Ada L.");

    // A member that becomes optional is not a breaking change, and an agent without an OpenAPI
    // document is deployed.
    let optional = "city: Option<String>,";
    write_agent(&folder, optional, "request.city.unwrap_or(request.prompt)");
    deploy(&[]).code(0).says("the API has no breaking change");
    deploy(&["--env", "PPIO_AGENT_ENABLE_OPENAPI=false"])
        .code(0)
        .says("the API was not compared: `my-api --openapi` failed in a sandbox: cannot print");
    let without = deploy(&["--json", "--quiet"]).code(0).json();
    assert_eq!(
        without["api"],
        json!({
            "compared": false,
            "reason": "the deployed agent has no OpenAPI document",
            "changes": [],
        })
    );
    assert_eq!(sandbox.invoke(&template, json!({"prompt": "Ada"})), "Ada");
    assert_eq!(sandbox.sandboxes(), [""; 0]);
}

#[test]
fn a_python_agent_is_not_compared() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    fs::remove_file(folder.join("requirements.txt")).expect("there");
    fs::write(folder.join("agent.py"), python_agent(&[], "{}")).expect("written");
    for (said, is_first) in [("Deployed my-python", true), ("Deployed my-python", false)] {
        let done = command(&sandbox, &folder, &["agent", "deploy"])
            .run()
            .code(0);
        assert!(done.stdout.contains(said), "{done:?}");
        let note = "the API was not compared: a Python agent has no OpenAPI document";
        assert_eq!(done.stderr.contains(note), !is_first, "{done:?}");
    }
}

#[test]
fn a_deployed_agent_that_does_not_start_is_replaced() {
    let mut sandbox = Sandbox::new();
    sandbox.build([starting("my-broken-api", "sleep 600")]);
    sandbox.up();
    let folder = project(&sandbox, "my-broken-api", "hello");
    let before = agent_yaml(&folder);
    let deploying = command(&sandbox, &folder, &["agent", "deploy"]).spawn();
    eventually("a session is opened", || !sandbox.sandboxes().is_empty());
    deploying.interrupt();
    deploying.wait().code(130).says("interrupted");
    assert_eq!(sandbox.sandboxes(), [""; 0]);
    assert_eq!(agent_yaml(&folder), before);

    let mut sandbox = Sandbox::new();
    sandbox.build([starting("my-broken-api", "echo no disk; exit 3")]);
    sandbox.up();
    let folder = project(&sandbox, "my-broken-api", "hello");
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0)
        .says("the API was not compared: cannot open a session with the deployed agent: ");
    let answer = sandbox.invoke("my-broken-api", json!({"prompt": "Ada"}));
    assert_eq!(answer, json!({"message": "Hello, Ada!"}));
}

/// A program that prints its variables instead of an `OpenAPI` document, as soon as `go-on` exists.
const PRINTS_VARIABLES: &str = r#"
use std::{env, fs, path::Path, process, thread, time::Duration};

fn main() {
    let home = env::var("HOME").unwrap();
    let prints = env::args().any(|argument| argument == "--openapi");
    while prints && !Path::new(&home).join("go-on").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    let files = fs::read_dir(&home).unwrap().flatten();
    let files = files.filter(|file| fs::read(file.path()).is_ok_and(|text| text.windows(6).any(|part| part == b"s3cret")));
    let values = ["FIRST", "SECOND"].map(|name| env::var(name).unwrap().escape_unicode().to_string());
    eprintln!("{}, in {} files", values.join(", "), files.count());
    process::exit(1);
}
"#;

#[test]
fn values_of_variables_arrive_and_are_no_arguments() {
    let mut sandbox = Sandbox::new();
    let hello = ppio_test_support::example_binary("hello");
    sandbox.build([agent("my-variables", &hello)]);
    sandbox.up();
    let folder = project(&sandbox, "my-variables", "hello");
    fs::write(folder.join("src/main.rs"), PRINTS_VARIABLES).expect("written");
    let package = "[package]\nname = \"my-variables\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), package).expect("written");
    fs::remove_file(folder.join("Cargo.lock")).expect("there");
    let values = ["s3cret 'it' \"is\"\n$HOME `id` \\ a=b\n", " s3cret É日#"];
    let [first, second] = values;
    let mut deploying = command(&sandbox, &folder, &["agent", "deploy"])
        .args([
            "--env",
            &format!("FIRST={first}"),
            "--env",
            &format!("SECOND={second}"),
        ])
        .spawn();

    let mut commands = String::new();
    eventually("the new program runs", || {
        assert!(!deploying.has_ended(), "{}", deploying.stderr());
        let Some(id) = sandbox.sandboxes().pop() else {
            return false;
        };
        commands = on_runtime(async {
            let client = sandbox.client();
            // The session may have been closed meanwhile.
            let Ok(Some(session)) = client.get_session(&id).await else {
                return String::new();
            };
            let envd = session.envd();
            let processes = envd.list_processes().await.unwrap_or_default();
            let processes = processes.into_iter();
            let commands: String = processes.map(|it| it.config.to_string()).collect();
            if commands.contains("--openapi") {
                envd.write_file("go-on", "").await.expect("written");
            }
            session.detach();
            commands
        });
        commands.contains("--openapi")
    });
    assert!(!commands.contains("s3cret"), "{commands}");
    let escaped = values.map(|value| value.escape_unicode().to_string());
    deploying.wait().says(&format!(
        "the API was not compared: `my-variables --openapi` failed in a sandbox: {}, in 0 files",
        escaped.join(", ")
    ));
}
