//! The start, health checks and shutdown of an agent, as a platform uses them.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use ppio_test_support::{
    AgentLauncher, AgentProcess, call, cargo, eventually, eventually_blocking, eventually_some,
    example_binary, example_binary_alone,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const SLACK: Duration = Duration::from_secs(20);

fn sleeping() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_sleeping-agent"))).start()
}

fn send(agent: &AgentProcess, signal: Signal) {
    let pid = i32::try_from(agent.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

async fn until_logged(agent: &AgentProcess, text: &str) {
    eventually(text, || agent.stderr().contains(text)).await;
}

/// Runs `work` once an invocation is running.
async fn once_running(agent: &AgentProcess, work: impl Future<Output = ()>) {
    let running = "\nppio_agent_invocations_running 1\n";
    eventually_some("a running invocation", async || {
        let metrics = call::get(agent, "/metrics").await.text().await;
        metrics.contains(running).then_some(())
    })
    .await;
    work.await;
}

#[tokio::test]
async fn sigterm_and_sigint_let_running_invocations_finish() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = sleeping();
        let ask = async {
            send(&agent, signal);
            until_logged(&agent, "shutting down").await;
            assert!(std::net::TcpStream::connect(agent.addr()).is_err());
        };
        let nap = json!({ "ms": 1000 });
        let nap = call::invoke(&agent, &nap);
        let (answer, ()) = tokio::join!(nap, once_running(&agent, ask));
        assert_eq!(answer.result().await, 1000);
        assert_eq!(agent.wait(SLACK).code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_process_immediately() {
    let mut agent = sleeping();
    let started = Instant::now();
    let _nap = call::begin(&agent, &json!({ "ms": 60_000 })).await;
    once_running(&agent, async {}).await;
    send(&agent, Signal::TERM);
    until_logged(&agent, "shutting down").await;
    send(&agent, Signal::TERM);
    assert_eq!(agent.wait(SLACK).code(), Some(0));
    // The shutdown waited neither for the sleeping invocation nor for the grace period of 30 s.
    assert!(started.elapsed() < SLACK);
}

/// Starts an agent whose code blocks a thread of the runtime for ten minutes. With one thread, or
/// if tokio has no event that wakes another thread, no task or timer of the agent runs any more.
async fn blocked(main: &str, grace: &str, threads: &str) -> (AgentProcess, tokio::net::TcpStream) {
    let agent = AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_blocking-agent")))
        .env("AGENT_MAIN", main)
        .env("PPIO_AGENT_WORKER_THREADS", threads)
        .env("PPIO_AGENT_SHUTDOWN_GRACE", grace)
        .start();
    let caller = call::begin(&agent, &json!({ "ms": 600_000 })).await;
    until_logged(&agent, "blocking").await;
    (agent, caller)
}

const BLOCKED: [(&str, &str); 4] = [("run", "1"), ("run", "4"), ("app", "1"), ("app", "4")];

#[tokio::test]
async fn an_async_function_that_blocks_does_not_outlive_the_grace_period() {
    for (main, threads) in BLOCKED {
        let (mut agent, _caller) = blocked(main, "0.2", threads).await;
        send(&agent, Signal::TERM);
        assert_eq!(agent.wait(SLACK).code(), Some(0), "{main} {threads}");
    }
}

#[tokio::test]
async fn an_async_function_that_blocks_does_not_outlive_a_second_signal() {
    for (main, threads) in BLOCKED {
        let (mut agent, _caller) = blocked(main, "600", threads).await;
        let ending = tokio::task::spawn_blocking(move || {
            // Signals that arrive together are delivered as one, so further signals are sent until
            // the agent ends.
            let started = Instant::now();
            while agent.is_running() && started.elapsed() < SLACK {
                send(&agent, Signal::TERM);
                std::thread::sleep(Duration::from_millis(20));
            }
            agent.wait(SLACK).code()
        });
        assert_eq!(ending.await.unwrap(), Some(0), "{main} {threads}");
    }
}

#[tokio::test]
async fn incomplete_request_headers_do_not_delay_the_shutdown() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut agent = sleeping();
    let mut sockets = Vec::new();
    for bytes in [
        "",
        "POST /invoc",
        "GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\nPOST",
    ] {
        let mut socket = tokio::net::TcpStream::connect(agent.addr()).await.unwrap();
        socket.write_all(bytes.as_bytes()).await.unwrap();
        if bytes.starts_with("GET") {
            assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
        }
        sockets.push(socket);
    }
    // This request is answered after the other connections have been read.
    assert_eq!(call::get(&agent, "/ping").await.status(), 200);
    let started = Instant::now();
    send(&agent, Signal::TERM);
    // The grace period is 30 s.
    assert_eq!(agent.wait(SLACK).code(), Some(0));
    assert!(started.elapsed() < SLACK);
    assert!(!agent.stderr().contains("grace"), "{}", agent.stderr());
}

#[test]
fn an_idle_agent_ends_immediately() {
    let agent = AgentProcess::start("hello");
    let started = Instant::now();
    assert_eq!(agent.stop_gracefully().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Starts an agent and returns the address that it prints.
fn bound(launcher: AgentLauncher) -> IpAddr {
    let agent = launcher.env("PPIO_AGENT_PORT", "0").spawn();
    eventually_blocking("a line", || agent.stdout().ends_with('\n'));
    let line = agent.stdout();
    let urls = line.strip_prefix("listening on http://").unwrap();
    let address = urls.split([',', '\n']).next().unwrap();
    address.parse::<SocketAddr>().unwrap().ip()
}

/// Returns a launcher that sets neither `PPIO_AGENT_HOST` nor this test's cargo variables.
fn bare(command: Command) -> AgentLauncher {
    let launcher = AgentProcess::command(command).env_remove("PPIO_AGENT_HOST");
    launcher
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("CARGO_MANIFEST_PATH")
        .env_remove("CARGO_PKG_NAME")
}

fn cargo_run(package: &str) -> Command {
    // The example is built in advance, so that the time limit of `bound` excludes the build.
    example_binary_alone(package);
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", package]);
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
    // A host that is set takes precedence over the default.
    for host in ["0.0.0.0", "::"] {
        let launcher = bare(cargo_run("hello")).env("PPIO_AGENT_HOST", host);
        assert!(bound(launcher).is_unspecified());
    }
}

fn run(argument: &str, binary: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary);
    command.arg(argument).envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn a_healthcheck_exits_with_0_if_the_agent_is_healthy_and_with_1_otherwise() {
    let hello = example_binary("hello");
    let agent = AgentProcess::command(Command::new(&hello))
        .env("PPIO_AGENT_HOST", "0.0.0.0")
        .start();
    let port = agent.addr().port().to_string();
    let host = ("PPIO_AGENT_HOST", "0.0.0.0");
    let well = run("--healthcheck", &hello, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(well.status.code(), Some(0));
    assert_eq!((&*well.stdout, &*well.stderr), (&b""[..], &b""[..]));

    drop(agent);
    let gone = run("--healthcheck", &hello, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(gone.status.code(), Some(1));
    let text = String::from_utf8(gone.stderr).unwrap();
    assert!(
        text.starts_with(&format!("unhealthy: 0.0.0.0:{port}: ")),
        "{text}"
    );

    let wrong = run("--healthcheck", &hello, &[("PPIO_AGENT_PORT", "eighty")]);
    assert_eq!(wrong.status.code(), Some(1));
    let text = String::from_utf8(wrong.stderr).unwrap();
    assert!(text.contains("PPIO_AGENT_PORT"), "{text}");
}

/// `llm-chat` without its settings is unhealthy.
#[test]
fn a_healthcheck_of_an_unhealthy_agent_exits_with_1() {
    let binary = example_binary("llm-chat");
    let mut command = Command::new(&binary);
    command.env_remove("OPENAI_MODEL");
    let agent = AgentProcess::command(command).listening();
    let port = agent.addr().port().to_string();
    let ill = run("--healthcheck", &binary, &[("PPIO_AGENT_PORT", &port)]);
    assert_eq!(ill.status.code(), Some(1));
    let text = String::from_utf8(ill.stderr).unwrap();
    assert_eq!(text, "unhealthy: HTTP/1.1 500 Internal Server Error\n");
}

/// A server that accepts connections but does not answer is unhealthy, and does not block the
/// check.
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
    let hung = run("--healthcheck", &hello, &variables);
    assert_eq!(hung.status.code(), Some(1));
    assert!(started.elapsed() < SLACK);
}

/// The `OpenAPI` document is printed without a server: no startup function runs, and no port is
/// opened.
#[tokio::test]
async fn the_openapi_document_is_printed() {
    let agents: [PathBuf; 3] = [
        example_binary("hello"),
        env!("CARGO_BIN_EXE_stateful-agent").into(),
        env!("CARGO_BIN_EXE_builder-agent").into(),
    ];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for agent in agents {
        let print = |value| {
            let variables = [
                ("START", "run"),
                // The startup function would fail.
                ("STARTUP", "fail"),
                ("PPIO_AGENT_PORT", &*port),
                ("PPIO_AGENT_ENABLE_OPENAPI", value),
            ];
            run("--openapi", &agent, &variables)
        };
        let printed = print("true");
        assert_eq!(printed.status.code(), Some(0), "{printed:?}");
        let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["paths"]["/invocations"]["post"].is_object());

        let off = print("false");
        assert_eq!(off.status.code(), Some(1));
        let text = String::from_utf8(off.stderr).unwrap();
        let expected =
            "cannot print the OpenAPI document: it is disabled: set PPIO_AGENT_ENABLE_OPENAPI";
        assert!(text.contains(expected), "{text}");
    }
    // `GET /openapi.json` returns the same document.
    let hello = AgentProcess::example("hello").start();
    let served = call::get(&hello, "/openapi.json").await.json().await;
    let debug = [("PPIO_AGENT_DEBUG", "true")];
    let printed = run("--openapi", &example_binary("hello"), &debug);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, served);
}

fn builder_agent(start: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_builder-agent"));
    command.env("START", start);
    command
}

/// The health check of an agent built from closures is that of an annotated agent.
#[test]
fn an_agent_from_closures_has_the_same_healthcheck() {
    let binary = Path::new(env!("CARGO_BIN_EXE_builder-agent"));
    let agent = AgentProcess::command(builder_agent("run")).start();
    let port = agent.addr().port().to_string();
    let host = ("PPIO_AGENT_HOST", "127.0.0.1");
    let well = run("--healthcheck", binary, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(well.status.code(), Some(0));
    assert_eq!((&*well.stdout, &*well.stderr), (&b""[..], &b""[..]));
    drop(agent);
    let gone = run("--healthcheck", binary, &[host, ("PPIO_AGENT_PORT", &port)]);
    assert_eq!(gone.status.code(), Some(1));
    let text = String::from_utf8(gone.stderr).unwrap();
    let expected = format!("Error: unhealthy: 127.0.0.1:{port}: ");
    assert!(text.starts_with(&expected), "{text}");
}

/// `#[tokio::main]` around `run` causes an error that names the remedy, not a panic.
#[test]
fn an_agent_inside_a_runtime_does_not_start_and_prints_a_remedy() {
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

/// If `main` returns a start error, the program prints the text of the error and not its fields.
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
