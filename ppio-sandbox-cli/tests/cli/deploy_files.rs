//! The files that `agent deploy` sends, and the report of those that it leaves out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::scaffold::{command, python_project};
use crate::support::{Sandbox, on_runtime, python_agent};

/// Returns an agent that answers with the paths of the files in its folder.
fn lister() -> String {
    python_agent(
        &[],
        r#"{"result": sorted(os.path.relpath(os.path.join(folder, name)) for folder, _, names in os.walk(".") for name in names), "status": "success", "duration": 0.1, "metadata": {}, "error": None}"#,
    )
}

/// Returns the files that were sent.
fn sent(sandbox: &Sandbox) -> Value {
    let answer = on_runtime(async {
        let client = sandbox.client();
        client.invoke_agent("my-python", json!({})).await
    });
    answer.expect("the agent answers").result.expect("a list")
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

#[test]
fn secrets_are_left_out_and_listed() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    fs::remove_file(folder.join("requirements.txt")).expect("there");
    write(&folder, "agent.py", &lister());
    let keys = [".env", ".Env.Local", ".ssh/id_rsa", "certs/ca.pem"];
    for path in keys {
        write(&folder, path, "secret");
    }
    write(&folder, ".env.example", "KEY=");
    // The .dockerignore of `agent init` is emptied, since it leaves secrets out as well.
    fs::write(folder.join(".dockerignore"), "").expect("written");

    let done = command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0)
        .says("left out .Env.Local: the name of a secret\n")
        .says("left out .ssh: the name of a secret\n")
        .says("left out certs/ca.pem: the name of a secret\n")
        .says("send a secret anyway with `--include PATTERN`");
    assert!(!done.stderr.contains(".env.example"), "{done:?}");
    let kept = [
        ".dockerignore",
        ".env.example",
        ".gitignore",
        "Dockerfile",
        "README.md",
        "agent.py",
        "agent.yaml",
    ];
    assert_eq!(sent(&sandbox), json!(kept));

    let include = ["agent", "deploy", "--json", "--include", "certs/*.pem"];
    let done = command(&sandbox, &folder, &include).run().code(0);
    let events: Vec<Value> = done.json_lines();
    let secret = |path: &str| json!({ "path": path, "reason": "secret" });
    assert_eq!(
        events[0],
        json!({
            "event": "left_out",
            "files": [secret(".Env.Local"), secret(".env"), secret(".ssh")],
        })
    );
    let help = sandbox.run(["agent", "deploy", "--help"]).code(0).stdout;
    assert!(help.contains("{\"event\": \"left_out\""), "{help}");
    let kept = [&kept[..], &["certs/ca.pem"]].concat();
    assert_eq!(sent(&sandbox), json!(kept));

    let mistaken = ["agent", "deploy", "--include", "*.pem"];
    command(&sandbox, &folder, &mistaken)
        .run()
        .code(2)
        .says("--include: \"*.pem\" matches no file that is sent");
}

#[test]
fn large_files_are_named_before_and_after_the_platform_refuses_them() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    fs::remove_file(folder.join("requirements.txt")).expect("there");
    write(&folder, "agent.py", &lister());
    // The file compresses so well that the local platform refuses it as a decompression bomb.
    write(&folder, "data/zeros.bin", "");
    let zeros = fs::File::options()
        .write(true)
        .open(folder.join("data/zeros.bin"));
    zeros.expect("there").set_len(110 << 20).expect("resized");
    let named = "data/zeros.bin is 110 MiB";
    let help = "leave out what the agent does not need with .dockerignore";
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(3)
        .says(&format!(
            "warning: the project's files are 110 MiB ({named})"
        ))
        .says(&format!("\n  {named}\n"))
        .says(&format!("\nhelp: {help}"));
    let done = command(&sandbox, &folder, &["agent", "deploy", "--json"]).run();
    let events: Vec<Value> = done.code(3).json_lines();
    assert_eq!(events[0]["event"], "warning", "{events:?}");
    let failed = events.last().expect("an event");
    assert_eq!(failed["causes"][1], named, "{failed}");

    // This follows the suggestion of the help.
    fs::write(folder.join(".dockerignore"), "data\n").expect("written");
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0);
}

#[test]
fn a_link_that_points_outside_the_project_is_refused() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, "my-python");
    write(&folder, "agent.py", "pass\n");
    let outside = sandbox.path("outside");
    fs::write(&outside, "secret").expect("written");
    symlink("../outside", folder.join("data.txt")).expect("a link");
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(2)
        .says("error: the link data.txt points outside the project, to ../outside\n")
        .says(&format!(
            "the path resolves to {}",
            outside.canonicalize().expect("there").display()
        ))
        .says("help: replace the link by the file, or exclude the link with .dockerignore");
}
