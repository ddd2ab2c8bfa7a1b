//! `agent deploy`: a project becomes a template of a local platform, which agent.yaml records.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::scaffold::{agent_yaml, command, project, python_project};
use crate::support::{Sandbox, eventually, on_runtime, python_agent};

fn phase(folder: &Path) -> Option<String> {
    let text = agent_yaml(folder);
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("phase: "));
    line.map(str::to_owned)
}

#[test]
fn hello_is_deployed_and_the_platform_started() {
    let sandbox = Sandbox::new();
    let folder = project(&sandbox, "my-hello", "hello");
    let before = agent_yaml(&folder);

    let done = command(
        &sandbox,
        &folder,
        &["agent", "deploy", "--env", "GREETING=x"],
    )
    .run()
    .code(0)
    .says("started the local platform at http://127.0.0.1:")
    .says(", because PPIO_API_KEY is not set\n")
    .says("COPY app /app")
    .says("ENV PPIO_AGENT_DEFAULT_LOG PPIO_AGENT_DEFAULT_CORS_ORIGINS GREETING\n");
    let template = sandbox.template("my-hello");
    let line = format!("agent invoke --template-id {template} --input");
    assert!(done.stdout.contains(&line), "{}", done.stdout);
    assert_eq!(
        sandbox.invoke(&template, json!({ "prompt": "Ada" })),
        json!({ "message": "Hello, Ada!" })
    );

    // The agent logs each call.
    let invoke = ["agent", "invoke", "--input", "Ada", "--keep", "--json"];
    let outcome = command(&sandbox, &folder, &invoke).run().code(0).json();
    let id = outcome["request_id"].as_str().expect("an id");
    eventually("the call is logged", || {
        let done = command(&sandbox, &folder, &["agent", "logs"]).run().code(0);
        let mut lines = done.stdout.lines();
        lines.any(|line| line.contains("invocation finished duration_ms=") && line.contains(id))
    });
    command(&sandbox, &folder, &["agent", "stop"]).run().code(0);

    // agent.yaml is unchanged except for the deployment.
    let after = agent_yaml(&folder);
    for kept in before.lines() {
        assert!(
            after.lines().any(|line| line == kept),
            "lost {kept:?} in {after}"
        );
    }
    assert_eq!(phase(&folder).as_deref(), Some("deployed"));
    let id = format!("template_id: {template}");
    assert_eq!(after.matches(&id).count(), 2, "{after}");
    assert!(after.contains("last_deployed: \"20"), "{after}");

    // The template's metadata has no entrypoint, and names the target.
    let document = on_runtime(async {
        let template = sandbox.client().get_template("my-hello").await;
        template.expect("the template is there").agent_config()
    });
    let document = document
        .expect("a valid configuration")
        .expect("the template holds an agent");
    assert_eq!(document.metadata.name.as_str(), "my-hello");
    assert!(document.spec.entrypoint.is_none() && document.status.is_none());
    assert_eq!(
        document.spec.runtime.unwrap().timeout.unwrap().as_secs(),
        60
    );

    // Another version has the same template, and the files are not uploaded again.
    let again = command(
        &sandbox,
        &folder,
        &["agent", "configure", "--agent-version", "0.2.0+b"],
    );
    again.run().code(0);
    let document = command(&sandbox, &folder, &["agent", "deploy", "--json", "--quiet"])
        .run()
        .code(0)
        .json();
    assert_eq!(document["template_id"], template.as_str());
    assert_eq!(document["tags"], json!(["0.2.0-b", "default"]));
    for tag in ["0.1.0", "0.2.0-b"] {
        let tagged = format!("{template}:{tag}");
        sandbox.invoke(&tagged, json!({ "prompt": "again" }));
    }
}

#[test]
fn stream_is_deployed_with_the_files_that_it_lists() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = project(&sandbox, "my-stream", "stream");
    fs::create_dir_all(folder.join("prompts")).unwrap();
    fs::write(folder.join("prompts/a.txt"), "one two").unwrap();
    let text = agent_yaml(&folder).replace("spec:\n", "spec:\n  files: [prompts]\n");
    fs::write(folder.join("agent.yaml"), text).unwrap();
    let document = command(
        &sandbox,
        &folder,
        &["agent", "deploy", "--local", "--json", "--quiet"],
    )
    .run()
    .code(0)
    .json();
    let template = document["template_id"].as_str().unwrap();
    let items = on_runtime(async {
        let client = sandbox.client();
        let session = client.create_session(template).await.expect("a session");
        let file = session.envd().read_file("/app/prompts/a.txt").await;
        assert_eq!(file.expect("the file is there"), "one two".as_bytes());
        let mut stream = session.invoke("one two").stream().await.expect("a stream");
        let mut items = Vec::new();
        while let Some(item) = stream.next().await {
            items.push(item.expect("an item"));
        }
        drop(stream);
        session.close().await.expect("the session closes");
        items
    });
    assert_eq!(items, [json!("one "), json!("two")]);
    assert!(
        document["invoke"]
            .as_str()
            .unwrap()
            .contains("invoke --local --template-id")
    );
}

/// Returns an agent that answers with the prompt and with `word`, which is a Python expression.
fn echo(modules: &[&str], word: &str) -> String {
    let result = format!(r#"[request["prompt"], {word}]"#);
    python_agent(
        modules,
        &format!(
            r#"{{"result": {result}, "status": "success", "duration": 0.1, "metadata": {{}}, "error": None}}"#
        ),
    )
}

/// A Python expression for the content of a file of the project.
const FROM_A_FILE: &str = r#"open("data.txt").read()"#;

#[test]
fn a_python_project_is_deployed_whole() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    fs::write(folder.join("agent.py"), echo(&[], FROM_A_FILE)).unwrap();
    fs::write(folder.join("data.txt"), "data").unwrap();
    // Every Python with pip already has this package, so nothing is downloaded.
    fs::write(folder.join("requirements.txt"), "pip\n").unwrap();
    let document = command(&sandbox, &folder, &["agent", "deploy", "--json", "--quiet"])
        .run()
        .code(0)
        .json();
    let template = document["template_id"].as_str().unwrap();
    let answer = sandbox.invoke(template, json!({ "prompt": "Ada" }));
    assert_eq!(answer, json!(["Ada", "data"]));
    assert_eq!(phase(&folder).as_deref(), Some("deployed"));
}

/// A Python program that writes a wheel, which pip installs without a network.
const WHEEL: &str = r#"
import sys, zipfile
files = {
    "greeting.py": "WORD = 'Hi'\n",
    "greeting-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
    "greeting-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = "greeting-1.0.dist-info/RECORD"
files[record] = "".join(f"{name},,\n" for name in [*files, record])
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
"#;

#[test]
fn a_package_that_the_platform_lacks_is_installed_beside_the_agent() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    let agent = echo(&["greeting"], "greeting.WORD");
    fs::write(folder.join("agent.py"), agent).unwrap();
    let wheel = "greeting-1.0-py3-none-any.whl";
    let made = std::process::Command::new("python3")
        .args(["-c", WHEEL, wheel])
        .current_dir(&folder)
        .status();
    assert!(made.expect("a Python").success());
    fs::write(folder.join("requirements.txt"), format!("./{wheel}\n")).unwrap();
    let done = command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0)
        .says("Successfully installed greeting-1.0");
    assert!(!done.stderr.contains("WARNING"), "{done:?}");
    let template = sandbox.template("my-python");
    let answer = sandbox.invoke(&template, json!({ "prompt": "Ada" }));
    assert_eq!(answer, json!(["Ada", "Hi"]));
}

/// A build system in the project itself, which needs no network.
const BACKEND: &str = r#"
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "greeter-1.0-py3-none-any.whl"
    info = "greeter-1.0.dist-info"
    files = {
        "greeter.py": open("src/greeter.py").read(),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return name
"#;

#[test]
fn the_packages_of_a_pyproject_are_installed() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    // Dependencies of a project that is not a package.
    let folder = python_project(&sandbox, "my-list");
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    fs::write(
        folder.join("agent.py"),
        echo(&["greeting"], "greeting.WORD"),
    )
    .unwrap();
    let wheel = "greeting-1.0-py3-none-any.whl";
    let made = std::process::Command::new("python3")
        .args(["-c", WHEEL, wheel])
        .current_dir(&folder)
        .status();
    assert!(made.expect("a Python").success());
    let project = format!(
        "[project]\nname = 'my-list'\nversion = '1.0'\ndependencies = ['greeting @ \
         file:///app/{wheel}']\n"
    );
    fs::write(folder.join("pyproject.toml"), project).unwrap();
    fs::write(folder.join("uv.lock"), "").unwrap();
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0)
        .says("warning: uv.lock is not read")
        .says("Successfully installed greeting-1.0");
    let template = sandbox.template("my-list");
    let answer = sandbox.invoke(&template, json!({ "prompt": "Ada" }));
    assert_eq!(answer, json!(["Ada", "Hi"]));

    // A package with a build system.
    let folder = python_project(&sandbox, "my-package");
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    fs::write(folder.join("agent.py"), echo(&["greeter"], "greeter.WORD")).unwrap();
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/greeter.py"), "WORD = 'Hello'\n").unwrap();
    fs::write(folder.join("backend.py"), BACKEND).unwrap();
    let build = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n";
    fs::write(folder.join("pyproject.toml"), build).unwrap();
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0)
        .says("Successfully installed greeter-1.0");
    let template = sandbox.template("my-package");
    let answer = sandbox.invoke(&template, json!({ "prompt": "Ada" }));
    assert_eq!(answer, json!(["Ada", "Hello"]));
}

#[test]
fn packages_that_the_build_would_not_install_are_refused_before_the_upload() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, "my-python");
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    let ignore = folder.join(".dockerignore");
    for (name, text, ignored, said) in [
        ("Pipfile", "", "", "pip does not read Pipfile"),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\nrequests = '2'\n",
            "",
            "poetry export",
        ),
        (
            "pyproject.toml",
            "[project\n",
            "",
            "pyproject.toml is not valid",
        ),
        (
            "pyproject.toml",
            "[build-system]\nrequires = []\n",
            "*.toml\n",
            ".dockerignore leaves out pyproject.toml and setup.py",
        ),
        (
            "requirements.txt",
            "pip\n",
            "*.txt\n",
            ".dockerignore leaves out requirements.txt",
        ),
    ] {
        fs::write(folder.join(name), text).unwrap();
        fs::write(&ignore, ignored).unwrap();
        command(&sandbox, &folder, &["agent", "deploy"])
            .run()
            .code(2)
            .says(said)
            .says("\nhelp: ");
        fs::remove_file(folder.join(name)).unwrap();
    }
    // No platform was started for these deployments.
    assert!(sandbox.running().is_none());
}

#[test]
fn a_build_that_fails_shows_its_step_and_its_last_lines() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-python");
    fs::write(folder.join("agent.py"), "def agent(:\n").unwrap();
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(1)
        .says("error: the build of my-python failed in step 3 of 3: RUN python -c ")
        .says("| SyntaxError: ")
        .says("help: correct the cause and deploy again");
    assert_eq!(phase(&folder).as_deref(), Some("failed"));
    // After a correction the deployment succeeds.
    fs::write(folder.join("agent.py"), echo(&[], FROM_A_FILE)).unwrap();
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(0);
    assert_eq!(phase(&folder).as_deref(), Some("deployed"));
}

#[test]
fn a_compile_error_is_shown_as_cargo_shows_it_and_nothing_is_deployed() {
    let sandbox = Sandbox::new();
    let folder = project(&sandbox, "my-broken", "hello");
    let main = folder.join("src/main.rs");
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, text.replace("Value {", "Valu {")).unwrap();
    let before = agent_yaml(&folder);
    command(&sandbox, &folder, &["agent", "deploy"])
        .run()
        .code(1)
        .says("error[E0425]: cannot find type `Valu` in this scope")
        .says("--> src/main.rs:7:35")
        .says("error: my-broken does not compile");
    assert_eq!(agent_yaml(&folder), before);
    assert!(
        sandbox.running().is_none(),
        "a platform was started despite the failed build"
    );
}

#[test]
fn errors_in_the_project_are_reported_first() {
    let sandbox = Sandbox::new();
    sandbox
        .run(["agent", "deploy"])
        .code(2)
        .says("no agent.yaml in")
        .says("agent init");
    let folder = python_project(&sandbox, "a");
    let good = agent_yaml(&folder);
    for (text, says) in [
        (
            good.replace("name: a", "name: A b"),
            "agent.yaml:4:9: metadata.name: ",
        ),
        (good.replace("spec:", "spec: ["), "agent.yaml:"),
        (
            good.replace("agent.py", "other.py"),
            "the entrypoint other.py does not exist",
        ),
        (
            good.replace("metadata:", "metadata: &m")
                .replace("spec:\n", "status: *m\n\nspec:\n"),
            "agent.yaml",
        ),
    ] {
        fs::write(folder.join("agent.yaml"), &text).unwrap();
        command(&sandbox, &folder, &["agent", "deploy"])
            .run()
            .code(2)
            .says(says);
        assert_eq!(agent_yaml(&folder), text);
    }
    fs::write(folder.join("agent.yaml"), &good).unwrap();
    for (arguments, code, says) in [
        (
            &["--env", "NOT_SET"][..],
            2,
            "--env: NOT_SET is not set in this environment",
        ),
        (&["--env", "1=2"], 2, "--env: \"1\" cannot be a variable"),
        (&["--remote"], 2, "PPIO_API_KEY"),
    ] {
        let all = [&["agent", "deploy"], arguments].concat();
        command(&sandbox, &folder, &all).run().code(code).says(says);
    }
    assert_eq!(agent_yaml(&folder), good);
    assert!(sandbox.running().is_none());
}

#[test]
fn a_wrong_key_leaves_agent_yaml_unchanged() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "a");
    let before = agent_yaml(&folder);
    let url = sandbox.running().unwrap().url().to_owned();
    command(&sandbox, &folder, &["agent", "deploy", "--remote"])
        .env("PPIO_API_URL", url)
        .env("PPIO_API_KEY", "wrong")
        .run()
        .code(3)
        .says("authentication failed");
    assert_eq!(agent_yaml(&folder), before);
}

/// Returns the processes whose command line contains this text.
fn processes_with(text: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("there is /proc").flatten();
    all.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(text).then_some(pid)
    })
    .collect()
}

#[test]
fn ctrl_c_while_cargo_runs_ends_all_of_it() {
    let sandbox = Sandbox::new();
    let folder = project(&sandbox, "my-slow", "hello");
    let before = agent_yaml(&folder);
    let mark = format!("slow-{}", std::process::id());
    // A build script that never ends, with a child that belongs to this test.
    let script = format!(
        "fn main() {{ std::process::Command::new(\"sh\").args([\"-c\", \"sleep 600; : \
         {mark}\"]).status().unwrap(); }}\n"
    );
    fs::write(folder.join("build.rs"), script).unwrap();
    let deploying = command(&sandbox, &folder, &["agent", "deploy"]).spawn();
    eventually("the build script runs", || {
        !processes_with(&mark).is_empty()
    });
    deploying.interrupt();
    deploying.wait().code(130);
    eventually("cargo and its children have ended", || {
        processes_with(&mark).is_empty()
    });
    assert_eq!(agent_yaml(&folder), before);
    assert!(sandbox.running().is_none());
}

#[test]
fn ctrl_c_while_the_platform_builds_restores_agent_yaml() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let folder = python_project(&sandbox, "my-slow");
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    fs::write(folder.join("agent.py"), "pass\n").unwrap();
    // A Python that hangs at its start.
    fs::create_dir_all(folder.join("site")).unwrap();
    fs::write(
        folder.join("site/sitecustomize.py"),
        "import time\ntime.sleep(600)\n",
    )
    .unwrap();
    let before = agent_yaml(&folder);
    let deploying = command(
        &sandbox,
        &folder,
        &["agent", "deploy", "--env", "PYTHONPATH=/app/site"],
    )
    .spawn();
    eventually("the platform builds", || {
        phase(&folder).as_deref() == Some("building") && deploying.stderr().contains("RUN python")
    });
    deploying.interrupt();
    deploying.wait().code(130);
    assert_eq!(agent_yaml(&folder), before);
}
