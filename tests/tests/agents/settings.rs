//! Each `PPIO_AGENT_*` variable has its effect, and a bad value is an error that names it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use ppio_test_support::call::{self, Answer};
use ppio_test_support::{AgentLauncher, AgentProcess, eventually, eventually_some, free_port};
use serde_json::{Value, json};

/// A short limit that the tests set and soon reach, in seconds.
const SOON: &str = "0.2";
/// The limit of [`SOON`] as a duration, for comparisons.
const LIMIT: Duration = Duration::from_millis(200);
/// The delay that a busy machine may add, which is shorter than the default of each measured limit.
const SLACK: Duration = Duration::from_secs(10);

fn agent(binary: &str, name: &str, value: &str) -> AgentProcess {
    launcher(binary)
        .env(format!("PPIO_AGENT_{name}"), value)
        .start()
}

fn launcher(binary: &str) -> AgentLauncher {
    AgentProcess::command(Command::new(binary))
}

const LOGGING: &str = env!("CARGO_BIN_EXE_logging-agent");
const SLEEPING: &str = env!("CARGO_BIN_EXE_sleeping-agent");
const SLOW_ITEMS: &str = env!("CARGO_BIN_EXE_slow-items-agent");
const FAILING: &str = env!("CARGO_BIN_EXE_failing-agent");

async fn nap(agent: &AgentProcess, ms: u64) -> Answer {
    call::invoke(agent, &json!({ "ms": ms })).await
}

/// Writes to a new connection; returns the answer and the time until the server closed it.
fn until_closed(agent: &AgentProcess, bytes: &str) -> (String, Duration) {
    let mut socket = TcpStream::connect(agent.addr()).unwrap();
    socket.set_read_timeout(Some(SLACK)).unwrap();
    let started = Instant::now();
    socket.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    (answer, started.elapsed())
}

fn in_time(elapsed: Duration) -> bool {
    (LIMIT / 2..SLACK).contains(&elapsed)
}

async fn running(agent: &AgentProcess) -> u64 {
    let page = call::get(agent, "/metrics").await.text().await;
    let mut lines = page.lines();
    let count = lines.find_map(|line| line.strip_prefix("ppio_agent_invocations_running "));
    count.unwrap().parse().unwrap()
}

async fn eventually_running(agent: &AgentProcess, count: u64) {
    eventually_some(&format!("{count} running invocations"), async || {
        (running(agent).await == count).then_some(())
    })
    .await;
}

/// Begins a nap that does not end within the test.
async fn begin_nap(agent: &AgentProcess) -> tokio::net::TcpStream {
    let socket = call::begin(agent, &json!({ "ms": 60_000 })).await;
    eventually_running(agent, 1).await;
    socket
}

#[tokio::test]
async fn host_and_port() {
    let agent = launcher(FAILING)
        .env("PPIO_AGENT_HOST", "127.0.0.2")
        .spawn();
    let there = ("127.0.0.2", agent.addr().port());
    eventually("a listener", || TcpStream::connect(there).is_ok()).await;
    assert!(TcpStream::connect(agent.addr()).is_err());
}

#[tokio::test]
async fn timeout() {
    let agent = agent(SLEEPING, "TIMEOUT", SOON);
    let text = nap(&agent, 60_000).await.error(504, "Timeout").await;
    assert_eq!(text, "the agent did not answer within 0.2 s");
}

#[tokio::test]
async fn max_request_size() {
    for (value, fits, over) in [("100", 98, 99), ("1k", 998, 999), ("1Ki", 1022, 1023)] {
        let agent = agent(FAILING, "MAX_REQUEST_SIZE", value);
        let fits = call::invoke(&agent, &json!("x".repeat(fits))).await;
        assert_eq!(fits.status(), 200, "{value}");
        let over = call::invoke(&agent, &json!("x".repeat(over))).await;
        over.error(413, "RequestTooLarge").await;
    }
}

#[tokio::test]
async fn allowed_hosts() {
    let agent = agent(FAILING, "ALLOWED_HOSTS", "a.example, b.example");
    for (host, status) in [
        ("a.example", 200),
        ("b.example:443", 200),
        ("c.example", 421),
        ("localhost", 200),
    ] {
        let request = format!("GET /ping HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let (answer, _) = until_closed(&agent, &request);
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{host}: {answer}");
    }
}

#[tokio::test]
async fn cors_origins_and_credentials() {
    let agent = launcher(FAILING)
        .env(
            "PPIO_AGENT_CORS_ORIGINS",
            "https://a.example, https://b.example",
        )
        .env("PPIO_AGENT_CORS_CREDENTIALS", "yes")
        .start();
    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://b.example", true),
        ("https://c.example", false),
    ] {
        let answer = call::invoke_with(&agent, &[("origin", origin)], &json!({})).await;
        let headers = answer.headers();
        let granted = headers.get("access-control-allow-origin");
        assert_eq!(granted.is_some_and(|it| it == origin), allowed, "{origin}");
        let granted = headers.get("access-control-allow-credentials");
        assert_eq!(granted.is_some(), allowed, "{origin}");
    }
}

#[tokio::test]
async fn enable_metrics() {
    let agent = agent(FAILING, "ENABLE_METRICS", "false");
    call::get(&agent, "/metrics")
        .await
        .error(404, "NotFound")
        .await;
    let index = call::get(&agent, "/").await.json().await;
    assert_eq!(index["endpoints"]["metrics"], Value::Null);
    let on = launcher(FAILING).start();
    assert_eq!(call::get(&on, "/metrics").await.status(), 200);
}

#[tokio::test]
async fn enable_openapi() {
    let agent = agent(FAILING, "ENABLE_OPENAPI", "false");
    call::get(&agent, "/openapi.json")
        .await
        .error(404, "NotFound")
        .await;
    let index = call::get(&agent, "/").await.json().await;
    assert_eq!(index["endpoints"]["openapi"], Value::Null);
    let on = launcher(FAILING).start();
    assert_eq!(call::get(&on, "/openapi.json").await.status(), 200);
}

#[tokio::test]
async fn enable_middleware() {
    let agent = agent(LOGGING, "ENABLE_MIDDLEWARE", "off");
    call::invoke(&agent, &json!({ "do": "fail" }))
        .await
        .text()
        .await;
    eventually("the line", || agent.stderr().contains("invocation failed")).await;
    assert!(!agent.stderr().contains("on the way in"));
}

#[tokio::test]
async fn max_concurrency() {
    let agent = agent(SLEEPING, "MAX_CONCURRENCY", "1");
    let _first = begin_nap(&agent).await;
    nap(&agent, 0).await.error(503, "Overloaded").await;
}

#[tokio::test]
async fn heartbeat() {
    let agent = agent(SLOW_ITEMS, "HEARTBEAT", "0.05");
    let mut answer = nap(&agent, 1000).await;
    // A heartbeat is an SSE comment, which is not an item.
    assert_eq!(answer.next_items().await, Some(vec![]));
    let silent = launcher(SLOW_ITEMS)
        .env("PPIO_AGENT_HEARTBEAT", "0")
        .start();
    assert_eq!(
        nap(&silent, 300).await.next_items().await,
        Some(vec![json!(0)])
    );
}

#[tokio::test]
async fn shutdown_grace() {
    let mut agent = agent(SLEEPING, "SHUTDOWN_GRACE", SOON);
    let _nap = begin_nap(&agent).await;
    let started = Instant::now();
    agent.terminate();
    assert!(agent.wait(SLACK).success());
    let elapsed = started.elapsed();
    assert!(in_time(elapsed), "{elapsed:?}");
    assert!(agent.stderr().contains("the shutdown grace is 0.2 s"));
}

#[tokio::test]
async fn header_timeout() {
    let agent = agent(FAILING, "HEADER_TIMEOUT", SOON);
    let (answer, elapsed) = until_closed(&agent, "POST /invoca");
    assert_eq!(answer, "");
    assert!(in_time(elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn keep_alive_timeout() {
    let agent = agent(FAILING, "KEEP_ALIVE_TIMEOUT", SOON);
    let ping = "GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let (answer, elapsed) = until_closed(&agent, ping);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(in_time(elapsed), "{elapsed:?}");
}

/// Platforms that start arbitrary programs set `PORT`. `PPIO_AGENT_PORT` takes precedence over it.
#[tokio::test]
async fn port_of_the_platform() {
    let (platform, own) = (free_port(), free_port());
    for (settings, port) in [
        (vec![("PORT", platform)], platform),
        (vec![("PORT", platform), ("PPIO_AGENT_PORT", own)], own),
    ] {
        let mut launcher = launcher(FAILING).env_remove("PPIO_AGENT_PORT");
        for (name, value) in settings {
            launcher = launcher.env(name, value.to_string());
        }
        let _agent = launcher.spawn();
        eventually("a listener", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
    }
    let mut agent = launcher(FAILING)
        .env_remove("PPIO_AGENT_PORT")
        .env("PORT", "http")
        .spawn();
    assert_eq!(agent.wait(SLACK).code(), Some(1));
    let said = agent.stderr();
    assert!(said.contains("PORT=\"http\" is not a port"), "{said}");
}

/// `agentcore dev` sets `LOCAL_DEV`, and chooses the port, which the agent reads from `PORT`.
#[tokio::test]
async fn port_of_agentcore() {
    let port = free_port();
    let _agent = launcher(FAILING)
        .env_remove("PPIO_AGENT_PORT")
        .env("PPIO_AGENT_PLATFORM", "agentcore")
        .env("LOCAL_DEV", "1")
        .env("PORT", port.to_string())
        .spawn();
    eventually("a listener", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
}

/// An empty variable counts as not set.
#[tokio::test]
async fn an_empty_variable_is_not_set() {
    let mut launcher = launcher(FAILING)
        .env("PPIO_AGENT_DEFAULT_CORS_ORIGINS", "*")
        .env("PPIO_AGENT_DEFAULT_LOG", "")
        .env("RUST_LOG", "")
        .env("PORT", "");
    for &(name, ..) in BAD {
        if !matches!(name, "HOST" | "PORT") {
            launcher = launcher.env(format!("PPIO_AGENT_{name}"), " ");
        }
    }
    let agent = launcher.start();
    let page = [("origin", "https://a.example")];
    let answer = call::invoke_with(&agent, &page, &json!({})).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn no_cors_origins() {
    let agent = launcher(FAILING)
        .env("PPIO_AGENT_CORS_ORIGINS", "none")
        .env("PPIO_AGENT_DEFAULT_CORS_ORIGINS", "*")
        .start();
    for page in ["https://a.example", "http://localhost"] {
        let answer = call::invoke_with(&agent, &[("origin", page)], &json!({})).await;
        answer.error(403, "OriginNotAllowed").await;
    }
}

#[tokio::test]
async fn body_timeout() {
    let agent = agent(FAILING, "BODY_TIMEOUT", SOON);
    let half = "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    let (answer, elapsed) = until_closed(&agent, half);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("did not arrive within 0.2 s"), "{answer}");
    assert!(in_time(elapsed), "{elapsed:?}");
}

#[tokio::test]
async fn write_timeout() {
    let agent = agent(SLOW_ITEMS, "WRITE_TIMEOUT", SOON);
    let mut socket = TcpStream::connect(agent.addr()).unwrap();
    let body = "{\"ms\":0}";
    let head = "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length";
    write!(socket, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
    eventually_running(&agent, 1).await;
    // The client reads nothing, so the agent can soon write nothing more.
    eventually_running(&agent, 0).await;
    drop(socket);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn blocking_warning() {
    const WARNING: &str = "blocks the thread that runs it";
    let blocking = env!("CARGO_BIN_EXE_blocking-agent");
    for (value, ms, warns) in [("0", 300, false), ("60", 300, false), ("0.02", 60, true)] {
        let agent = agent(blocking, "BLOCKING_WARNING", value);
        nap(&agent, ms).await.result().await;
        let page = call::get(&agent, "/metrics").await.text().await;
        let counted = page.contains(
            "\nppio_agent_executor_stalls_total{function=\"blocking_agent::agent::agent\"} 1\n",
        );
        assert_eq!(counted, warns, "{value}: {page}");
        assert_eq!(agent.stderr().contains(WARNING), warns, "{value}");
    }
}

#[tokio::test]
async fn worker_threads() {
    let count = async |threads: &str| {
        let agent = agent(FAILING, "WORKER_THREADS", threads);
        let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid()));
        tasks.unwrap().count()
    };
    assert_eq!(count("7").await, count("2").await + 5);
}

#[tokio::test]
async fn blocking_threads() {
    let agent = agent(SLEEPING, "BLOCKING_THREADS", "1");
    let started = Instant::now();
    let naps = tokio::join!(nap(&agent, 200), nap(&agent, 200), nap(&agent, 200));
    assert_eq!(naps.0.result().await, 200);
    // The sleeping functions run one after the other.
    assert!(started.elapsed() >= Duration::from_millis(600));
}

#[tokio::test]
async fn debug_and_log() {
    for (variables, info, debug) in [
        (&[][..], true, false),
        (&[("PPIO_AGENT_DEBUG", "1")], true, true),
        (&[("PPIO_AGENT_LOG", "error")], false, false),
        (&[("PPIO_AGENT_LOG", "logging_agent=debug")], true, true),
        (&[("RUST_LOG", "error")], false, false),
        (
            &[("PPIO_AGENT_LOG", "info"), ("RUST_LOG", "error")],
            true,
            false,
        ),
        (
            &[("PPIO_AGENT_LOG", "error"), ("PPIO_AGENT_DEBUG", "1")],
            false,
            false,
        ),
    ] {
        let mut command = Command::new(LOGGING);
        command.env_remove("RUST_LOG");
        let mut launcher = AgentProcess::command(command);
        for (name, value) in variables {
            launcher = launcher.env(*name, *value);
        }
        let mut agent = launcher.start();
        call::invoke(&agent, &json!({ "do": "fail" }))
            .await
            .text()
            .await;
        agent.terminate();
        agent.wait(SLACK);
        let log = agent.stderr();
        assert_eq!(
            log.contains("in the function"),
            info,
            "{variables:?}: {log}"
        );
        assert_eq!(log.contains("in detail"), debug, "{variables:?}: {log}");
    }
}

/// A bad value of each variable, and a part of the error text that it causes.
const BAD: &[(&str, &str, &str)] = &[
    ("HOST", "no such host", "cannot listen on no such host:"),
    ("PORT", "eighty", "is not a port from 0 to 65535"),
    ("PORT", "65536", "is not a port from 0 to 65535"),
    ("DEBUG", "maybe", "is not true or false"),
    ("TIMEOUT", "0", "must be more than 0 seconds"),
    (
        "MAX_REQUEST_SIZE",
        "lots",
        "is not a size such as 1048576 or 2Mi",
    ),
    (
        "ALLOWED_HOSTS",
        "https://example.com",
        "is not a host name such as agent.example.com",
    ),
    (
        "CORS_ORIGINS",
        "example.com",
        "is not an origin such as https://example.com",
    ),
    (
        "CORS_CREDENTIALS",
        "true",
        "needs a list of origins in PPIO_AGENT_CORS_ORIGINS",
    ),
    ("ENABLE_METRICS", "\u{fffd}", "is not true or false"),
    ("ENABLE_OPENAPI", "maybe", "is not true or false"),
    ("ENABLE_MIDDLEWARE", "2", "is not true or false"),
    (
        "PROTOCOLS",
        "openai,smtp",
        "is not `all`, `none` or a list of",
    ),
    ("MAX_CONCURRENCY", "-1", "is not a number, 0 for no limit"),
    ("HEARTBEAT", "often", "is not a number of seconds"),
    ("SHUTDOWN_GRACE", "-0.1", "is not a number of seconds"),
    ("KEEP_ALIVE_TIMEOUT", "0", "must be more than 0 seconds"),
    ("HEADER_TIMEOUT", "nan", "is not a number of seconds"),
    ("BODY_TIMEOUT", "5s", "is not a number of seconds"),
    ("WRITE_TIMEOUT", "0", "must be more than 0 seconds"),
    ("BLOCKING_WARNING", "off", "is not a number of seconds"),
    ("WORKER_THREADS", "0", "must be from 1 to 10000"),
    ("BLOCKING_THREADS", "many", "is not a number of threads"),
    ("LOG", "a=b=c", "is not a log filter"),
    (
        "LOG_FORMAT",
        "xml",
        "is not `auto`, `text`, `json` or `agentcore`",
    ),
    (
        "PLATFORM",
        "lambda",
        "is not `agentcore`, `agentcore-ag-ui`, `agentcore-mcp` or `agentcore-a2a`",
    ),
    ("BUSY_AFTER", "a minute", "is not a number of seconds"),
    ("ON_DISCONNECT", "stop", "is not `cancel` or `continue`"),
    ("RECONNECT_GRACE", "5s", "is not a number of seconds"),
    (
        "SESSION_CONCURRENCY",
        "serial",
        "is not `parallel`, `queue`, `reject` or `interrupt`",
    ),
    ("SESSION_QUEUE", "-1", "is not a number"),
    ("MAX_RUNS", "0", "must be at least 1"),
    (
        "MAX_RUN_SIZE",
        "big",
        "is not a size such as 1048576 or 2Mi",
    ),
    (
        "MAX_TOTAL_RUN_SIZE",
        "-1",
        "is not a size such as 1048576 or 2Mi",
    ),
    ("RUN_RETENTION", "long", "is not a number of seconds"),
    ("LIST_ANONYMOUS_RUNS", "some", "is not true or false"),
    ("A2A_PUSH_PRIVATE", "10.0.0.0/8", "is not true or false"),
    ("INSPECT_RUNS", "some", "is not true or false"),
    ("WEBSOCKET_MAX_FRAME_SIZE", "0", "must be at least 1 byte"),
    (
        "WEBSOCKET_MAX_MESSAGE_SIZE",
        "all",
        "is not a size such as 1048576 or 2Mi",
    ),
    (
        "WEBSOCKET_IDLE_TIMEOUT",
        "never",
        "is not a number of seconds",
    ),
    (
        "JOURNAL",
        "/dev/null/runs",
        "cannot use /dev/null/runs as the journal",
    ),
];

#[test]
fn a_bad_value_is_a_start_up_error_that_names_the_variable() {
    for &(name, value, text) in BAD {
        let mut agent = launcher(FAILING)
            .env(format!("PPIO_AGENT_{name}"), value)
            .spawn();
        let status = agent.wait(SLACK);
        let said = agent.stderr();
        assert_eq!(status.code(), Some(1), "{name}={value}: {said}");
        assert!(
            said.contains(&format!("PPIO_AGENT_{name}")),
            "{name}={value}: {said}"
        );
        assert!(said.contains(text), "{name}={value}: {said}");
        assert_eq!(agent.stdout(), "", "the agent does not listen");
    }
}

#[test]
fn one_error_names_all_bad_values() {
    let mut agent = launcher(FAILING)
        .env("PPIO_AGENT_PORT", "eighty")
        .env("PPIO_AGENT_TIMEOUT", "soon")
        .spawn();
    assert_eq!(agent.wait(SLACK).code(), Some(1));
    let error = "error: bad configuration: PPIO_AGENT_PORT=\"eighty\" is not a port from 0 to \
                 65535; PPIO_AGENT_TIMEOUT=\"soon\" is not a number of seconds\n";
    assert_eq!(agent.stderr(), error);
}

/// `BAD` contains exactly the variables in the documentation.
#[test]
fn every_documented_variable_is_tested() {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../ppio-agent/src/config/mod.rs"
    );
    let source = std::fs::read_to_string(source).unwrap();
    let rows = source.lines().filter(|line| line.starts_with("/// | [`"));
    let documented: BTreeSet<&str> = rows
        .filter_map(|row| row.split("PPIO_AGENT_").nth(1)?.split('`').next())
        .collect();
    let tested: BTreeSet<&str> = BAD.iter().map(|(name, ..)| *name).collect();
    assert_eq!(documented, tested);
}
