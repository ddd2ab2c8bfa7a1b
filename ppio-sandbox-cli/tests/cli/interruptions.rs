//! Ctrl-C at every stage of a command: no process is left, and the exit code is 130.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use rustix::termios::LocalModes;
use serde_json::json;

use crate::support::scaffold::{agent_yaml, command, python_project};
use crate::support::stalling_platform::StallingPlatform;
use crate::support::{
    Invocation, SLEEP, Sandbox, Stdin, eventually, everything_in, scripted, send, starting,
};

#[test]
fn while_the_request_is_read() {
    let sandbox = Sandbox::new();
    for arguments in [&["--json", "-"][..], &[]] {
        let waiting = sandbox
            .command(["agent", "invoke", "--template-id", "agent"])
            .args(arguments.iter().copied())
            .stdin(Stdin::Open)
            .spawn();
        eventually("the command handles SIGINT", || {
            crate::support::catches(waiting.pid(), Signal::INT)
        });
        waiting.interrupt();
        let done = waiting.wait().code(130);
        assert_eq!(done.stdout, "");
    }
}

#[test]
fn while_the_session_is_created() {
    // An agent that never answers a ping.
    let sandbox = Sandbox::with([starting("agent", SLEEP)]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let starting = sandbox
            .command(["agent", "invoke", "--template-id", "agent", "--input", "x"])
            .spawn();
        eventually("there is a sandbox", || !sandbox.sandboxes().is_empty());
        send(starting.pid(), signal);
        let done = starting.wait().code(code);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("error:"), "{done:?}");
        assert!(sandbox.sandboxes().is_empty());
    }
}

#[test]
fn before_the_platform_has_answered() {
    let sandbox = Sandbox::with([scripted("agent")]);
    // This platform accepts requests and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("bound"));
    for command in [
        &["agent", "invoke", "--template-id", "agent", "--input", "x"][..],
        &["agent", "list"],
        &["agent", "status", "--template-id", "agent"],
        &["agent", "stop", "--template-id", "agent"],
        &["agent", "logs", "--template-id", "agent"],
        &["agent", "delete", "--yes", "--template-id", "agent"],
        &["doctor"],
    ] {
        let asking = sandbox
            .command(command.iter().copied())
            .env("PPIO_API_KEY", "any")
            .env("PPIO_API_URL", &url)
            .spawn();
        let (_connection, _) = silent.accept().expect("a connection");
        eventually("the command handles SIGINT", || {
            crate::support::catches(asking.pid(), Signal::INT)
        });
        asking.interrupt();
        // A sandbox may have been created, so the command waits for the answer until a second
        // Ctrl-C.
        if command.contains(&"invoke") {
            eventually("the second Ctrl-C is suggested", || {
                asking.stderr().contains("Ctrl-C again")
            });
            asking.interrupt();
        }
        asking.wait().code(130);
    }
}

#[test]
fn while_the_answer_arrives() {
    let sandbox = Sandbox::with([scripted("agent")]);
    for (request, before) in [
        // Before the first item.
        (json!({"items": ["never"], "pause_ms": 3_600_000}), ""),
        (json!({"items": ["one "], "end": "hang"}), "one "),
    ] {
        for keep in [&[][..], &["--keep"]] {
            let asking = sandbox
                .command(["agent", "invoke", "--template-id", "agent", "--json"])
                .arg(request.to_string())
                .args(keep.iter().copied())
                .spawn();
            eventually("the agent is invoked", || {
                asking.stdout() == before && asked(&sandbox)
            });
            asking.interrupt();
            asking.wait().code(130);
            // No session stays open even with --keep, which applies only after an answer.
            assert!(sandbox.sandboxes().is_empty());
        }
    }
}

/// Whether an agent has logged a request.
fn asked(sandbox: &Sandbox) -> bool {
    sandbox.sandboxes().iter().any(|id| {
        let done = sandbox.run(["agent", "logs", "--session", id]);
        done.stdout.contains("asked for")
    })
}

#[test]
fn in_a_session_that_was_open_before_it_stays_open() {
    let sandbox = Sandbox::with([scripted("agent")]);
    sandbox
        .run([
            "agent",
            "invoke",
            "--template-id",
            "agent",
            "--input",
            "x",
            "--keep",
        ])
        .code(0);
    let ids = sandbox.sandboxes();
    let request = json!({"items": ["one "], "end": "hang"}).to_string();
    let asking = sandbox
        .command(["agent", "invoke", "--session", &ids[0], "--json", &request])
        .spawn();
    eventually("the answer comes", || asking.stdout() == "one ");
    asking.interrupt();
    asking.wait().code(130);
    assert_eq!(sandbox.sandboxes(), ids);
}

/// The way in which a question is interrupted.
#[derive(Debug, Clone, Copy)]
enum Given {
    Key,
    Signal(Signal),
}

/// The interruptions of a question with their exit codes.
const GIVEN: [(Given, i32); 3] = [
    (Given::Key, 130),
    (Given::Signal(Signal::INT), 130),
    (Given::Signal(Signal::TERM), 143),
];

/// The modes of a terminal that reads lines.
const LINES: LocalModes = LocalModes::ICANON
    .union(LocalModes::ECHO)
    .union(LocalModes::ISIG);

/// Interrupts a question. Returns the output and the exit code.
fn interrupt_at(question: &str, command: Invocation, given: Given) -> (String, Option<i32>) {
    command.run_on_pty(|terminal| {
        terminal.expect_output(question);
        eventually("keys are read", || {
            !terminal.modes().contains(LocalModes::ICANON)
        });
        match given {
            Given::Key => terminal.send_keys("\x03"),
            Given::Signal(signal) => {
                let reader = terminal.foreground().as_raw_nonzero().get();
                send(reader.unsigned_abs(), signal);
            }
        }
        eventually("the mode of the terminal is restored", || {
            terminal.modes().contains(LINES)
        });
    })
}

#[test]
fn at_the_question_of_init() {
    for (given, code) in GIVEN {
        let sandbox = Sandbox::new();
        let init = sandbox
            .command(["agent", "init", "--name", "my-agent"])
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let (seen, ended) = interrupt_at("e-mail address", init, given);
        assert_eq!(ended, Some(code), "{given:?}: {seen}");
        assert!(!seen.contains("error"), "{seen}");
        assert_eq!(everything_in(&sandbox.path("")), Vec::<PathBuf>::new());
        sandbox.wait_until_nothing_is_left();
    }
}

#[test]
fn init_writes_the_whole_project_or_nothing() {
    let sandbox = Sandbox::new();
    let place = sandbox.path("place");
    fs::create_dir(&place).expect("a folder");
    let init = |name: &str| {
        let command = sandbox.command(["agent", "init", "--name", name]);
        let command = command.args(["--author", "a@example.com"]);
        command.in_folder(&place).spawn()
    };
    init("whole").wait().code(0);
    let whole = everything_in(&place.join("whole"));
    let entries = || fs::read_dir(&place).expect("a folder").count();
    // The command is interrupted while it writes, or a little later.
    for round in 0..40 {
        let name = format!("agent-{round}");
        let mut writing = init(&name);
        while entries() == 1 && !writing.has_ended() {}
        writing.interrupt();
        let done = writing.wait();
        let folder = place.join(&name);
        if folder.exists() {
            done.code(0);
            assert_eq!(everything_in(&folder), whole);
            fs::remove_dir_all(folder).expect("removed");
        } else {
            done.code(130);
        }
        assert_eq!(entries(), 1, "{:?}", everything_in(&place));
    }
}

/// An agent.yaml without an author.
const WITHOUT_AUTHOR: &str = "# by hand\nmetadata:\n  name: my-agent # stays\n  version: \"1.0.0\"\nspec:\n  entrypoint: src/main.rs\n  runtime: {timeout: 60, memory_limit: 512Mi, cpu_limit: \"1\"}\n";

#[test]
fn at_a_question_of_configure() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("project");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("agent.yaml"), WITHOUT_AUTHOR).expect("written");
    let untouched = || {
        assert_eq!(agent_yaml(&folder), WITHOUT_AUTHOR);
        assert_eq!(everything_in(&folder), [Path::new("agent.yaml")]);
        sandbox.wait_until_nothing_is_left();
    };
    let configure = || {
        let command = sandbox.command(["agent", "configure"]).in_folder(&folder);
        command.env("GIT_CONFIG_NOSYSTEM", "1")
    };
    for (given, code) in GIVEN {
        let (seen, ended) = interrupt_at("e-mail address", configure(), given);
        assert_eq!(ended, Some(code), "{given:?}: {seen}");
        assert!(!seen.contains("error"), "{seen}");
        untouched();
    }
    // The last question is printed below the changes.
    let with_author = configure().args(["--author", "a@example.com", "--description", "x"]);
    let (seen, ended) = with_author.run_on_pty(|terminal| {
        terminal.expect_output("[y/N]");
        terminal.send_keys("\x03");
    });
    assert_eq!(ended, Some(130), "{seen}");
    untouched();
}

/// Returns a Python project without packages.
fn small_project(sandbox: &Sandbox, name: &str) -> PathBuf {
    let folder = python_project(sandbox, name);
    fs::remove_file(folder.join("requirements.txt")).expect("removed");
    fs::write(folder.join("agent.py"), "pass\n").expect("written");
    folder
}

#[test]
fn while_the_files_are_packed() {
    let sandbox = Sandbox::new();
    let folder = small_project(&sandbox, "my-agent");
    // A pipe without a writer, so that reading it never ends.
    let endless = folder.join(".dockerignore");
    fs::remove_file(&endless).expect("removed");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &endless, kind, mode, 0).expect("a named pipe");
    let before = (agent_yaml(&folder), everything_in(&folder));

    let deploying = command(&sandbox, &folder, &["agent", "deploy", "--local"]).spawn();
    let mut writer = None;
    eventually("the files are packed", || {
        // Succeeds once there is a reader.
        let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options()
            .write(true)
            .custom_flags(no_wait)
            .open(&endless);
        writer = opened.ok();
        writer.is_some()
    });
    deploying.interrupt();
    deploying.wait().code(130).says("interrupted");
    assert_eq!((agent_yaml(&folder), everything_in(&folder)), before);
    assert!(sandbox.running().is_none());
    sandbox.wait_until_nothing_is_left();
}

#[test]
fn while_the_files_are_uploaded() {
    let sandbox = Sandbox::new();
    let folder = small_project(&sandbox, "my-agent");
    // Larger than the buffers of a connection, and incompressible.
    let mut noise = fastrand::Rng::with_seed(5);
    let noise: Vec<u8> = std::iter::repeat_with(|| noise.u8(..))
        .take(24 << 20)
        .collect();
    fs::write(folder.join("noise"), noise).expect("written");
    let before = (agent_yaml(&folder), everything_in(&folder));
    let platform = StallingPlatform::start();
    let deploying = command(&sandbox, &folder, &["agent", "deploy", "--remote"])
        .env("PPIO_API_URL", platform.url())
        .env("PPIO_API_KEY", "any")
        .spawn();
    let upload = platform.upload();
    // agent.yaml has changed by now, and is restored by the interruption.
    assert!(agent_yaml(&folder).contains("phase: building"));
    deploying.interrupt();
    deploying.wait().code(130).says("interrupted");
    assert_eq!((agent_yaml(&folder), everything_in(&folder)), before);
    assert!(upload.missing() > 0);
    sandbox.wait_until_nothing_is_left();
}

#[test]
fn while_the_platform_is_started_for_a_deployment() {
    let sandbox = Sandbox::new();
    let folder = small_project(&sandbox, "my-agent");
    let before = (agent_yaml(&folder), everything_in(&folder));
    // A Python that hangs delays the start.
    let programs = sandbox.path("programs");
    fs::create_dir(&programs).expect("a folder");
    let asked = sandbox.path("asked");
    let script = format!("#!/bin/sh\ntouch '{}'\nexec sleep 86400\n", asked.display());
    fs::write(programs.join("python3"), script).expect("a program");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(programs.join("python3"), executable).expect("executable");
    let path = format!("{}:/usr/bin:/bin", programs.display());

    for flag in [&["--local"][..], &[]] {
        let arguments = [&["agent", "deploy"], flag].concat();
        let deploying = command(&sandbox, &folder, &arguments);
        let deploying = deploying.env("PATH", &path).spawn();
        eventually("the start has begun", || asked.exists());
        deploying.interrupt();
        deploying.wait().code(130).says("interrupted");
        // No note was printed about the platform, so it is stopped.
        assert!(sandbox.running().is_none());
        assert!(!sandbox.home().join("key").exists());
        sandbox.wait_until_nothing_is_left();
        assert_eq!((agent_yaml(&folder), everything_in(&folder)), before);
        fs::remove_file(&asked).expect("removed");
    }
}

#[test]
fn a_platform_that_was_started_for_a_deployment_keeps_running() {
    let sandbox = Sandbox::new();
    let folder = small_project(&sandbox, "my-agent");
    // A Python that hangs at its start.
    fs::create_dir(folder.join("site")).expect("a folder");
    let wait = "import time\ntime.sleep(86400)\n";
    fs::write(folder.join("site/sitecustomize.py"), wait).expect("written");
    let before = (agent_yaml(&folder), everything_in(&folder));
    let slow = ["agent", "deploy", "--env", "PYTHONPATH=/app/site"];
    let deploying = command(&sandbox, &folder, &slow).spawn();
    eventually("the platform builds", || {
        deploying.stderr().contains("RUN python")
    });
    deploying.interrupt();
    let done = deploying.wait().code(130);
    done.says("started the local platform at ")
        .says("`ppio-sandbox-cli local down` stops it");
    assert_eq!((agent_yaml(&folder), everything_in(&folder)), before);
    // The platform keeps running, as after a successful deployment.
    assert!(sandbox.running().is_some());
    sandbox.run(["local", "down"]).code(0);
    sandbox.wait_until_nothing_is_left();
}
