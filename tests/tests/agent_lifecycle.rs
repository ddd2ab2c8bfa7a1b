//! An agent as its platform sees it: started, asked whether it is well, told to end.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use integration_tests::{AgentLauncher, AgentProcess, call, example_binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const SLACK: Duration = Duration::from_secs(20);

fn sleeping() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_sleeping-agent"))).start()
}

fn send(agent: &AgentProcess, signal: Signal) {
    let pid = i32::try_from(agent.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

async fn until_logged(agent: &AgentProcess, text: &str) {
    let deadline = Instant::now() + SLACK;
    while !agent.stderr().contains(text) {
        assert!(
            Instant::now() < deadline,
            "no {text:?} in {}",
            agent.stderr()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Does `work` once an invocation runs.
async fn once_one_runs(agent: &AgentProcess, work: impl Future<Output = ()>) {
    let running = "\nppio_agent_invocations_running 1\n";
    while !call::get(agent, "/metrics")
        .await
        .text()
        .await
        .contains(running)
    {}
    work.await;
}

#[tokio::test]
async fn sigterm_and_sigint_let_what_runs_finish() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = sleeping();
        let ask = async {
            send(&agent, signal);
            until_logged(&agent, "shutting down").await;
            assert!(std::net::TcpStream::connect(agent.addr()).is_err());
        };
        let nap = json!({ "ms": 1000 });
        let nap = call::invoke(&agent, &nap);
        let (answer, ()) = tokio::join!(nap, once_one_runs(&agent, ask));
        assert_eq!(answer.result().await, 1000);
        assert_eq!(agent.wait(SLACK).code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_second_signal_cuts() {
    let mut agent = sleeping();
    let started = Instant::now();
    let _nap = call::begin(&agent, &json!({ "ms": 60_000 })).await;
    once_one_runs(&agent, async {}).await;
    send(&agent, Signal::TERM);
    until_logged(&agent, "shutting down").await;
    send(&agent, Signal::TERM);
    assert_eq!(agent.wait(SLACK).code(), Some(0));
    // Neither the nap nor the grace of 30 s was waited for.
    assert!(started.elapsed() < SLACK);
}

#[test]
fn an_idle_agent_ends_at_once() {
    let agent = AgentProcess::start("hello");
    let started = Instant::now();
    assert_eq!(agent.stop_gracefully().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// The address that an agent says it listens on.
fn bound(launcher: AgentLauncher) -> IpAddr {
    let agent = launcher.env("PPIO_AGENT_PORT", "0").spawn();
    let deadline = Instant::now() + SLACK;
    while !agent.stdout().ends_with('\n') {
        assert!(Instant::now() < deadline, "no line: {}", agent.stderr());
        std::thread::sleep(Duration::from_millis(2));
    }
    let line = agent.stdout();
    let urls = line.strip_prefix("listening on http://").unwrap();
    let address = urls.split([',', '\n']).next().unwrap();
    address.parse::<SocketAddr>().unwrap().ip()
}

/// A start without a host, and without what cargo tells this test about itself.
fn bare(command: Command) -> AgentLauncher {
    let launcher = AgentProcess::command(command).env_remove("PPIO_AGENT_HOST");
    launcher
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH")
        .env_remove("CARGO_PKG_NAME")
}

fn cargo_run(package: &str) -> Command {
    // Built before, so that the deadline is not cargo's.
    example_binary(package);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["run", "--quiet", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command
}

#[test]
fn an_agent_listens_on_every_address_unless_cargo_runs_it() {
    let hello = || Command::new(example_binary("hello"));
    assert!(bound(bare(hello())).is_unspecified());
    assert!(bound(bare(cargo_run("hello"))).is_loopback());
    // A host that is set wins over the default.
    for host in ["0.0.0.0", "::"] {
        let launcher = bare(cargo_run("hello")).env("PPIO_AGENT_HOST", host);
        assert!(bound(launcher).is_unspecified());
    }
}

fn healthcheck(binary: &std::path::Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary);
    command.arg("--healthcheck").envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn a_healthcheck_exits_with_0_while_the_agent_is_well_and_with_1_otherwise() {
    let hello = example_binary("hello");
    let agent = AgentProcess::command(Command::new(&hello))
        .env("PPIO_AGENT_HOST", "0.0.0.0")
        .start();
    let port = agent.addr().port().to_string();
    let host = ("PPIO_AGENT_HOST", "0.0.0.0");
    let well = healthcheck(&hello, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(well.status.code(), Some(0));
    assert_eq!((&*well.stdout, &*well.stderr), (&b""[..], &b""[..]));

    drop(agent);
    let gone = healthcheck(&hello, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(gone.status.code(), Some(1));
    let text = String::from_utf8(gone.stderr).unwrap();
    assert!(
        text.starts_with(&format!("unhealthy: 0.0.0.0:{port}: ")),
        "{text}"
    );

    let wrong = healthcheck(&hello, &[("PPIO_AGENT_PORT", "eighty")]);
    assert_eq!(wrong.status.code(), Some(1));
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("PPIO_AGENT_PORT"), "{text}");
}

/// `llm-chat` without its settings is an agent that is not well.
#[test]
fn a_healthcheck_of_an_agent_that_is_not_well_exits_with_1() {
    let binary = example_binary("llm-chat");
    let mut command = Command::new(&binary);
    command.env_remove("OPENAI_MODEL");
    let agent = AgentProcess::command(command).listening();
    let port = agent.addr().port().to_string();
    let ill = healthcheck(&binary, &[("PPIO_AGENT_PORT", &port)]);
    assert_eq!(ill.status.code(), Some(1));
    let text = String::from_utf8(ill.stderr).unwrap();
    assert_eq!(text, "unhealthy: HTTP/1.1 500 Internal Server Error\n");
}

/// A server that accepts and says nothing is not well either, and does not hang the check.
#[test]
fn a_healthcheck_has_a_deadline() {
    let hello = example_binary("hello");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let started = Instant::now();
    let variables = [
        ("PPIO_AGENT_HOST", "127.0.0.1"),
        ("PPIO_AGENT_PORT", &*port),
    ];
    let hung = healthcheck(&hello, &variables);
    assert_eq!(hung.status.code(), Some(1));
    assert!(started.elapsed() < SLACK);
}

fn builder_agent(start: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_builder-agent"));
    command.env("START", start);
    command
}

/// An agent from closures starts as an annotated one does.
#[test]
fn a_healthcheck_of_an_agent_from_closures_exits_as_well() {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_builder-agent"));
    let agent = AgentProcess::command(builder_agent("run")).start();
    let port = agent.addr().port().to_string();
    let host = ("PPIO_AGENT_HOST", "127.0.0.1");
    let well = healthcheck(binary, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(well.status.code(), Some(0));
    assert_eq!((&*well.stdout, &*well.stderr), (&b""[..], &b""[..]));
    drop(agent);
    let gone = healthcheck(binary, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(gone.status.code(), Some(1));
    let text = String::from_utf8(gone.stderr).unwrap();
    let expected = format!("Error: unhealthy: 127.0.0.1:{port}: ");
    assert!(text.starts_with(&expected), "{text}");
}

/// `#[tokio::main]` around `run` is a text that says what to write, and no panic.
#[test]
fn an_agent_inside_a_runtime_does_not_start_and_says_why() {
    for start in ["run inside", "annotated inside"] {
        let output = builder_agent(start).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{start}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("remove `#[tokio::main]`"), "{text}");
        assert!(text.contains("app.bind().await?.serve().await"), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// What a `main` that returns the error prints is its text, not its fields.
#[test]
fn a_start_error_is_printed_as_a_text() {
    let mut command = builder_agent("run");
    command.env("PPIO_AGENT_PORT", "eighty");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    let expected = "Error: bad configuration: PPIO_AGENT_PORT=\"eighty\" is not a port";
    assert!(text.starts_with(expected), "{text}");
}
