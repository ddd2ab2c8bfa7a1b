//! Ctrl-C at every stage of `agent dev`: no process is left, agent.yaml is unchanged, and the exit
//! code is 0, since Ctrl-C is the regular end of the command.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use crate::support::dev::{Dev, PYTHON_AGENT, ask, python_project, rust_project};
use crate::support::scaffold::agent_yaml;
use crate::support::{Sandbox, eventually, is_alive};

/// Ends `agent dev` with Ctrl-C.
fn interrupt(sandbox: &Sandbox, folder: &Path, dev: Dev) {
    let before = agent_yaml(folder);
    let agent = dev.output().contains("process ").then(|| dev.agent());
    dev.running.interrupt();
    dev.running.wait().code(0);
    // The agent ends before the command; processes of the compiler may end later.
    assert!(agent.is_none_or(|agent| !is_alive(agent)));
    sandbox.wait_until_nothing_is_left();
    assert_eq!(agent_yaml(folder), before);
}

/// Makes cargo run a build script that writes this file and never ends.
fn endless_build(folder: &Path, begun: &Path) {
    let script = format!(
        "fn main() {{ std::process::Command::new(\"sh\").args([\"-c\", \"echo > '{}'; sleep \
         86400\"]).status().unwrap(); }}\n",
        begun.display()
    );
    fs::write(folder.join("build.rs"), script).expect("written");
}

#[test]
fn during_the_first_build() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "first-build");
    let begun = sandbox.path("begun");
    endless_build(&folder, &begun);
    let dev = Dev::build(&sandbox, &folder, 0);
    eventually("the build has begun", || begun.exists());
    interrupt(&sandbox, &folder, dev);
}

#[test]
fn during_a_build_while_the_previous_agent_serves() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "next-build");
    let dev = Dev::build(&sandbox, &folder, 0);
    let address = dev.address();
    let begun = sandbox.path("begun");
    endless_build(&folder, &begun);
    eventually("the build has begun", || begun.exists());
    assert!(ask(&address, "GET /").ends_with("debug profile"));
    interrupt(&sandbox, &folder, dev);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn while_an_agent_starts() {
    let sandbox = Sandbox::new();
    let agent = PYTHON_AGENT.replace(
        "server = http",
        "print('process', os.getpid(), file=sys.stderr)\nimport time\ntime.sleep(86400)\nserver \
         = http",
    );
    let folder = python_project(&sandbox, &agent);
    let dev = Dev::start(&sandbox, &folder);
    dev.says("process ");
    interrupt(&sandbox, &folder, dev);
}

#[test]
fn after_the_agent_has_crashed() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, "import sys\nsys.exit('no such model')\n");
    let dev = Dev::start(&sandbox, &folder);
    dev.says("no such model");
    dev.says("waiting for a change");
    interrupt(&sandbox, &folder, dev);
}

#[test]
fn after_a_compile_error() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "uncompiled");
    fs::write(folder.join("src/main.rs"), "fn main() { nothing }\n").expect("written");
    let dev = Dev::build(&sandbox, &folder, 0);
    dev.says("uncompiled does not compile; waiting for a change");
    interrupt(&sandbox, &folder, dev);
}

#[test]
fn ctrl_c_on_a_terminal_reaches_only_the_command() {
    let sandbox = Sandbox::new();
    let agent = PYTHON_AGENT.replace(
        "server.serve_forever()",
        "import signal\nsignal.signal(signal.SIGINT, lambda *_: print('got SIGINT', \
         file=sys.stderr))\nsignal.signal(signal.SIGTERM, lambda *_: \
         os._exit(0))\nserver.serve_forever()",
    );
    let folder = python_project(&sandbox, &agent);
    let dev = sandbox.command(["agent", "dev", "--port", "0"]);
    let (seen, code) = dev.in_folder(&folder).run_on_pty(|terminal| {
        terminal.expect_output("Ctrl-C stops it");
        terminal.send_keys("\x03");
    });
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains("got SIGINT"), "{seen}");
    sandbox.wait_until_nothing_is_left();
}
