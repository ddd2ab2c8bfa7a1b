//! `local up | down | status | env`.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ppio_agent_client::SandboxConfig;
use ppio_agent_client::platform;
use ppio_sandbox_local::TemplateSpec;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::scaffold::{command, python_project};
use crate::support::{Done, Sandbox, agent, config, eventually, on_runtime, python_agent, send};

/// Returns the command lines that contain this folder. The command line of the platform does not
/// contain the folder.
fn processes_of(home: &Path) -> Vec<String> {
    let home = home.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a Linux").flatten() {
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&home) {
            found.push(line);
        }
    }
    found
}

/// Asserts that no process, lock or sandbox of a platform is left.
fn assert_nothing_left(sandbox: &Sandbox) {
    assert!(sandbox.running().is_none());
    eventually("the sandboxes' processes end", || {
        processes_of(&sandbox.home()).is_empty()
    });
    let run = std::fs::read_dir(sandbox.home().join("run")).expect("the folder of runs");
    assert_eq!(run.count(), 0, "files of sandboxes are left");
}

#[test]
fn the_platform_runs_until_a_signal() {
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let sandbox = Sandbox::new();
        let platform = sandbox.command(["local", "up"]).spawn();
        eventually("the note about `local down` is printed", || {
            platform.stderr().contains("local down")
        });
        let running = sandbox.running().expect("a platform");
        // Standard output is another pipe, and may arrive after standard error.
        for line in [
            format!("url        {}\n", running.url()),
            format!("api key    {}\n", sandbox.key()),
            format!("pid        {}\n", platform.pid()),
        ] {
            eventually(&line, || platform.stdout().contains(&line));
        }

        // A sandbox is still open when the platform ends.
        on_runtime(async {
            let client = sandbox.client();
            let new = platform::NewSandbox::new("base", Duration::from_secs(600));
            let made = client.platform().create_sandbox(&new).await.expect("made");
            let envd = client.envd(&made.address(), made.envd_access_token.as_ref());
            let forever = platform::Command::shell("exec sleep 86400");
            envd.start(&forever).await.expect("started");
        });
        assert!(processes_of(&sandbox.home()).len() > 1);

        send(platform.pid(), signal);
        let done = platform.wait().code(code);
        // Standard output lists the limits that are not enforced; the log would repeat them.
        let repeats = "limits of sandboxes that this machine does not enforce";
        assert!(!done.stderr.contains(repeats), "{done:?}");
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn a_platform_in_the_background_outlives_the_command_and_is_found() {
    let sandbox = Sandbox::new();
    let first = sandbox.run(["local", "up", "--detach"]).code(0);
    let running = sandbox.running().expect("a platform");
    assert!(first.stdout.contains(running.url()), "{first:?}");
    assert!(first.stdout.contains(running.api_key()), "{first:?}");
    let log = sandbox.home().join("platform.log");
    let mode = std::fs::metadata(&log).expect("a log").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(!log.contains(running.api_key()), "{log}");

    let second = sandbox.run(["local", "up", "--detach", "--json"]).code(0);
    let report = second.json();
    assert_eq!(report["url"], running.url());
    assert_eq!(report["pid"], running.pid());
    assert_eq!(report["api_key"], running.api_key());
    assert!(report["isolation"].is_string() && report["tls"] == false);

    let other_port = sandbox
        .run(["local", "up", "--detach", "--port", "1"])
        .code(3);
    other_port
        .says("is already running at")
        .says("stop the platform first with");
    let in_front = sandbox.run(["local", "up"]).code(3);
    in_front.says(&format!("process {}", running.pid()));

    let status = sandbox.run(["local", "status", "--json"]).code(0).json();
    assert_eq!(status["running"], true);
    assert_eq!(status["url"], running.url());
    assert_eq!(status["sandboxes"]["running"], 0);
    assert!(!status.to_string().contains(running.api_key()));

    let down = sandbox.run(["local", "down"]).code(0);
    assert!(down.stdout.contains("stopped the local platform"));
    assert_nothing_left(&sandbox);
    let again = sandbox.run(["local", "down", "--json"]).code(0);
    assert_eq!(again.json()["stopped"], false);
}

#[test]
fn unenforced_limits_are_reported() {
    let mut sandbox = Sandbox::new();
    let detached = sandbox.run(["local", "up", "--detach"]).code(0);
    let running = sandbox.running().expect("a platform");
    let limits = running.unenforced_limits();
    // The disk limit is never enforced.
    assert!(!limits.is_empty());
    let says_all = |text: &str| {
        assert!(
            text.contains("warning: sandboxes share this machine's network"),
            "{text}"
        );
        for limit in limits {
            let warning = format!(
                "warning: the limit for {} is not enforced: {}\n",
                limit.resource(),
                limit.reason()
            );
            assert_eq!(text.matches(&warning).count(), 1, "{text}");
        }
        // The warning of the library does not repeat the limits.
        assert!(!text.contains("WARN"), "{text}");
    };
    says_all(&detached.stderr);
    let status = sandbox.run(["local", "status"]).code(0);
    says_all(&status.stderr);
    for done in [&detached, &status] {
        let isolation = format!("isolation  {}\n", running.isolation());
        let network = match running.offline_unavailable() {
            None => "network    this machine's, except for sandboxes without internet access\n",
            Some(_) => "network    this machine's\n",
        };
        for line in [&*isolation, network, "limits     not enforced: "] {
            assert!(done.stdout.contains(line), "no {line:?} in {done:?}");
        }
    }
    for command in [&["up", "--detach"][..], &["status"]] {
        let command = [&["local"], command, &["--json"]].concat();
        let report = sandbox.run(command).code(0).json();
        assert_eq!(report["network"], "host");
        assert_eq!(report["offline"], running.offline_unavailable().is_none());
        assert_eq!(report["isolation"], running.isolation());
        let listed = report["unenforced_limits"].as_array().expect("a list");
        assert_eq!(listed.len(), limits.len());
        assert_eq!(listed[0]["reason"], limits[0].reason());
    }
    sandbox.run(["local", "down"]).code(0);

    sandbox.up();
    eventually("the platform in the foreground prints the limit", || {
        sandbox
            .platform_stderr()
            .contains("the limit for disk is not enforced: ")
    });
    says_all(&sandbox.platform_stderr());
}

/// Whether this machine gives sandboxes with internet access a network of their own.
fn isolates_networks() -> bool {
    let tun = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    tun.is_ok()
        && ["/usr/bin/pasta", "/bin/pasta"]
            .iter()
            .any(|path| Path::new(path).exists())
}

#[test]
fn an_isolated_network_is_kept_or_refused() {
    const VARIABLE: &str = "PPIO_LOCAL_ISOLATE_NETWORK";
    let up = ["local", "up", "--detach"];
    let by_flag: &dyn Fn(&Sandbox) -> Done =
        &|sandbox| sandbox.run([&up[..], &["--isolate-network"]].concat());
    let by_variable: &dyn Fn(&Sandbox) -> Done =
        &|sandbox| sandbox.command(up).env(VARIABLE, "yes").run();
    for start in [by_flag, by_variable] {
        let sandbox = Sandbox::new();
        let started = start(&sandbox);
        if !isolates_networks() {
            let refused = started.code(4);
            refused
                .says("cannot have a network of their own here: ")
                .says("apt install bubblewrap passt");
            assert!(sandbox.running().is_none());
            assert_nothing_left(&sandbox);
            continue;
        }
        let started = started
            .code(0)
            .says("sandboxes can connect to the networks of this machine");
        assert!(!started.stderr.contains("share"), "{started:?}");
        assert!(started.stdout.contains("network    one for each sandbox"));
        let status = sandbox.run(["local", "status", "--json"]).code(0).json();
        assert_eq!(status["network"], "isolated");
        // With the same setting, the running platform is used.
        start(&sandbox).code(0).says("already running");
        sandbox.run(["local", "down"]).code(0);
        assert_nothing_left(&sandbox);
    }

    // A platform that shares the network is not used in place of an isolated one.
    let sandbox = Sandbox::new();
    sandbox.run(up).code(0);
    for start in [by_flag, by_variable] {
        start(&sandbox).code(3).says("stop the platform first with");
    }
    let agent = python_project(&sandbox, "shared");
    std::fs::write(agent.join("agent.py"), python_agent(&[], "request")).expect("written");
    let deploy = command(&sandbox, &agent, &["agent", "deploy", "--local"]);
    let refused = deploy.env(VARIABLE, "1").run().code(3);
    refused.says("PPIO_LOCAL_ISOLATE_NETWORK is set, and sandboxes of the local platform at");
    let wrong = sandbox.command(up).env(VARIABLE, "maybe").run().code(2);
    wrong.says("PPIO_LOCAL_ISOLATE_NETWORK=\"maybe\" is not true or false");
    sandbox.run(["local", "down"]).code(0);
}

#[test]
fn commands_report_that_the_platform_is_not_running() {
    let sandbox = Sandbox::new();
    for command in ["status", "env"] {
        let done = sandbox.run(["local", command]).code(3);
        assert_eq!(done.stdout, "");
        done.says("error: the local platform is not running")
            .says("local up --detach");
    }
    let status = sandbox.run(["local", "status", "--json"]).code(3);
    assert_eq!(status.json()["running"], false);
    assert_eq!(status.failure()["exit_code"], 3);
    assert_eq!(status.failure()["code"], "platform");
}

#[test]
fn a_killed_platform_is_not_running() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let pid = sandbox.running().expect("a platform").pid();
    send(pid, Signal::KILL);
    eventually("the platform is gone", || sandbox.running().is_none());
    sandbox.run(["local", "status"]).code(3);
    sandbox.run(["local", "up", "--detach"]).code(0);
    sandbox.run(["local", "down"]).code(0);
}

#[test]
fn a_failed_start_reports_its_cause_and_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let sandbox = Sandbox::new();
    for detach in [&["--detach"][..], &[]] {
        let command = sandbox.command(["local", "up", "--port", &port]);
        let done = detach.iter().fold(command, crate::support::Invocation::arg);
        let done = done.run().code(4);
        assert_eq!(done.stdout, "");
        done.says("error: the local platform")
            .says(&port)
            .says("--port");
        assert!(sandbox.running().is_none());
        assert_eq!(processes_of(&sandbox.home()), [""; 0]);
    }
    let done = sandbox
        .command(["local", "up", "--detach"])
        .env("PPIO_LOCAL_HOME", "/proc/missing/may/write/here")
        .run()
        .code(4);
    done.says("/proc/missing");
    let done = sandbox
        .command(["local", "status"])
        .env("PPIO_LOCAL_HOME", "")
        .env("HOME", "")
        .run()
        .code(2);
    done.says("PPIO_LOCAL_HOME");
}

#[test]
fn interrupting_a_start_in_the_background_stops_it() {
    let sandbox = Sandbox::new();
    // A Python that hangs delays the start.
    let programs = sandbox.path("programs");
    std::fs::create_dir_all(&programs).expect("a folder");
    let python = programs.join("python3");
    let asked = sandbox.path("asked");
    let script = format!("#!/bin/sh\ntouch '{}'\nexec sleep 86400\n", asked.display());
    std::fs::write(&python, script).expect("a program");
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).expect("executable");

    let path = format!("{}:/usr/bin:/bin", programs.display());
    let command = sandbox.command(["local", "up", "--detach"]);
    let starting = command.env("PATH", path).spawn();
    eventually("the start has begun", || asked.exists());
    starting.interrupt();
    starting.wait().code(130);
    eventually("the background process ends", || {
        processes_of(sandbox.path("").as_path()).is_empty()
    });
    assert!(sandbox.running().is_none());
}

#[test]
fn shells_set_the_variables() {
    let mut sandbox = Sandbox::new();
    sandbox.up();
    let variables = sandbox.running().expect("a platform").environment();

    let json = sandbox.run(["local", "env", "--json"]).code(0).json();
    assert_eq!(json, serde_json::to_value(&variables).expect("texts"));
    let dotenv = sandbox.run(["local", "env", "--shell", "dotenv"]).code(0);
    let lines: Vec<_> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(dotenv.stdout.lines().collect::<Vec<_>>(), lines);
    let fish = sandbox.run(["local", "env", "--shell", "fish"]).code(0);
    assert!(fish.stdout.contains("set -gx PPIO_API_KEY '"), "{fish:?}");

    let binary = env!("CARGO_BIN_EXE_ppio-sandbox-cli");
    let script = format!(r#"eval "$('{binary}' local env)" && env"#);
    let shell = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("PPIO_LOCAL_HOME", sandbox.home())
        .output()
        .expect("a shell");
    let seen = String::from_utf8(shell.stdout).expect("UTF-8");
    for line in lines {
        assert!(seen.lines().any(|seen| seen == line), "no {line} in {seen}");
    }
    // With these variables the command uses the same platform.
    let mut command = sandbox.command(["agent", "list", "--json"]);
    for (name, value) in &variables {
        command = command.env(name, value);
    }
    assert_eq!(command.run().code(0).json(), Value::Array(Vec::new()));
}

#[test]
fn agents_in_python_run_with_the_interpreter_on_the_path() {
    let code = python_agent(&["sys"], r#"{"python": sys.prefix}"#);
    let asked = Command::new("python3")
        .args(["-c", "import sys; print(sys.prefix)"])
        .output()
        .expect("these tests need python3");
    let prefix = String::from_utf8(asked.stdout).expect("UTF-8");

    let mut sandbox = Sandbox::new();
    let app = sandbox.path("app");
    std::fs::create_dir_all(&app).expect("a folder");
    std::fs::write(app.join("agent.py"), code).expect("agent.py");
    let mut configuration = config("snake");
    configuration.spec.entrypoint = Some("agent.py".parse().expect("a file"));
    sandbox.build([TemplateSpec::new("snake")
        .directory(&app)
        .config(configuration)]);
    sandbox.up();
    let done = sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            "snake",
            "--input",
            "hi",
            "--json",
        ])
        .code(0);
    assert_eq!(done.json()["result"]["python"], prefix.trim());
    assert!(sandbox.sandboxes().is_empty());
}

#[test]
fn status_counts_running_and_paused_sandboxes() {
    let hello = ppio_test_support::example_binary("hello");
    let sandbox = Sandbox::with([agent("hello", &hello)]);
    on_runtime(async {
        let client = sandbox.client();
        let running = client.create_session("hello").await.expect("made");
        let paused = client
            .create_session("hello")
            .config(SandboxConfig::default())
            .await
            .expect("made");
        paused.pause().await.expect("paused");
        running.detach();
        paused.detach();
    });
    let status = sandbox.run(["local", "status", "--json"]).code(0).json();
    assert_eq!(
        status["sandboxes"],
        serde_json::json!({"running": 1, "paused": 1})
    );
    // The base template and the template of this test.
    assert_eq!(status["templates"], 2);
    let text = sandbox.run(["local", "status"]).code(0);
    assert!(
        text.stdout.contains("sandboxes  1 running, 1 paused"),
        "{text:?}"
    );
}
