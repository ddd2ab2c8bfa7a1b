//! Agents and the local platform behind proxies, and called by clients that reuse connections: a
//! response that is sent before the request body has been read must not break the next call.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::test_platform::TestPlatform;
use ppio_test_support::call::send_to;
use ppio_test_support::{AgentProcess, free_port, raw_request};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(20);
/// The number of calls of each kind.
const CALLS: usize = 100;

fn refusing() -> AgentProcess {
    AgentProcess::command(Command::new(env!("CARGO_BIN_EXE_refusing-agent"))).start()
}

/// Returns the path of a program on this machine.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: `cargo xtask test` installs it"))
}

/// A proxy that ends with the test.
struct Proxy {
    process: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Proxy {
    /// Starts a program with a configuration that listens on the given address.
    fn start(
        program: &Path,
        configuration: impl FnOnce(SocketAddr, &Path) -> String,
        arguments: impl FnOnce(&Path) -> Vec<String>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let file = directory.path().join("proxy.conf");
        fs::write(&file, configuration(address, directory.path())).unwrap();
        let mut process = Command::new(program)
            .args(arguments(&file))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + DEADLINE;
        while TcpStream::connect(address).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "the proxy ended");
            assert!(Instant::now() < deadline, "the proxy does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            process,
            address,
            _directory: directory,
        }
    }

    fn nginx(program: &Path, upstream: SocketAddr, buffering: &str) -> Self {
        Self::start(
            program,
            |address, directory| {
                let directory = directory.display();
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|name| format!("{name}_temp_path {directory}/{name};"))
                    .concat();
                format!(
                    "daemon off; master_process off; pid {directory}/pid; error_log stderr crit;
                     events {{}}
                     http {{
                         access_log off; client_max_body_size 64m; {temporary}
                         upstream agent {{ server {upstream}; keepalive 8; }}
                         server {{
                             listen {address};
                             location / {{
                                 proxy_pass http://agent;
                                 proxy_http_version 1.1;
                                 proxy_set_header connection '';
                                 proxy_set_header host localhost;
                                 proxy_request_buffering {buffering};
                             }}
                         }}
                     }}"
                )
            },
            |file| {
                vec![
                    "-e".into(),
                    "stderr".into(),
                    "-c".into(),
                    file.display().to_string(),
                ]
            },
        )
    }

    fn haproxy(program: &Path, upstream: SocketAddr) -> Self {
        Self::start(
            program,
            |address, _| {
                format!(
                    "defaults
                         mode http
                         timeout connect 10s
                         timeout client 20s
                         timeout server 20s
                         http-reuse always
                         retries 0
                     frontend front
                         bind {address}
                         default_backend agents
                     backend agents
                         server agent {upstream}\n"
                )
            },
            |file| vec!["-db".into(), "-f".into(), file.display().to_string()],
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends refused calls, with bodies of three sizes, and served calls in turn, and then a call whose
/// body is too large. Checks the status of each response.
async fn assert_no_call_is_lost(proxy: &Proxy, what: &str) {
    for call in 0..CALLS {
        let length = [1_000, 60_000, 400_000][call % 3];
        let body = format!("\"{}\"", "x".repeat(length));
        let host = ("host", "localhost");
        let headers = [host, ("x-kind", "refused")];
        let body = body.as_bytes();
        let refused = raw_request(proxy.address, "POST", "/invocations", &headers, body).await;
        assert_eq!(refused.status, 401, "{what}, call {call}: {}", refused.head);
        let headers = [host, ("authorization", "yes")];
        let served = raw_request(proxy.address, "POST", "/invocations", &headers, b"1").await;
        assert_eq!(served.status, 200, "{what}, call {call}: {}", served.head);
    }
    let body = vec![b'x'; 30 << 20];
    let headers = [("host", "localhost"), ("authorization", "yes")];
    let large = raw_request(proxy.address, "POST", "/invocations", &headers, &body).await;
    assert_eq!(large.status, 413, "{what}: {}", large.head);
}

#[tokio::test]
async fn refused_callers_behind_nginx_receive_the_answer_of_the_agent() {
    let nginx = program("nginx");
    let agent = refusing();
    for buffering in ["on", "off"] {
        let proxy = Proxy::nginx(&nginx, agent.addr(), buffering);
        assert_no_call_is_lost(&proxy, &format!("buffering {buffering}")).await;
    }
}

#[tokio::test]
async fn refused_callers_behind_haproxy_receive_the_answer_of_the_agent() {
    let haproxy = program("haproxy");
    let agent = refusing();
    assert_no_call_is_lost(&Proxy::haproxy(&haproxy, agent.addr()), "haproxy").await;
}

/// JSON texts with line breaks between tokens, and with characters at which some clients break
/// lines.
const ITEMS: [&str; 4] = [
    "{\n  \"layout\": [\n    1,\r\n    2\n  ]\r}",
    "\"a\u{2028}b\u{2029}c\u{85}d\"",
    "\"data: x\\n\\ndata: y\\r\"",
    "[\"é\", \"日本語\", \"🎈\"]",
];

/// Checks that each item of a stream arrives before the agent produces the next.
async fn assert_items_arrive_one_by_one(proxy: &Proxy, what: &str) {
    let gates = tempfile::tempdir().unwrap();
    let request = json!({ "gates": gates.path(), "items": ITEMS }).to_string();
    let headers = [("content-type", "application/json")];
    let mut answer = send_to(proxy.address, "POST", "/invocations", &headers, request).await;
    for (number, item) in ITEMS.into_iter().enumerate() {
        let expected: Value = serde_json::from_str(item).unwrap();
        let arrived = answer.next_items().await;
        assert_eq!(arrived, Some(vec![expected]), "{what}, item {number}");
        fs::write(gates.path().join((number + 1).to_string()), "").unwrap();
    }
    assert_eq!(answer.next_items().await, None, "{what}");
}

#[tokio::test]
async fn proxies_forward_items_one_by_one_and_unchanged() {
    let program_of_agent = Command::new(env!("CARGO_BIN_EXE_gated-items-agent"));
    let agent = AgentProcess::command(program_of_agent).start();
    for buffering in ["on", "off"] {
        let proxy = Proxy::nginx(&program("nginx"), agent.addr(), buffering);
        assert_items_arrive_one_by_one(&proxy, &format!("nginx, buffering {buffering}")).await;
    }
    let proxy = Proxy::haproxy(&program("haproxy"), agent.addr());
    assert_items_arrive_one_by_one(&proxy, "haproxy").await;
}

/// A Node script that sends calls in turn over Node's `http.globalAgent`, which reuses connections.
/// A call has a path, headers, a body length, whether the body is chunked, and the expected status.
/// Prints the calls whose result is not the expected one.
const NODE: &str = r"
const http = require('http');
const [port, calls, ...kinds] = JSON.parse(process.argv[1]);
const call = ({ path, headers, length, chunked, status }) => new Promise((done) => {
  const request = http.request({ port, path, method: 'POST', headers }, (response) => {
    response.resume();
    response.on('end', () => done(response.statusCode === status ? null : `${path}: ${response.statusCode}`));
  });
  request.on('error', (error) => done(`${path}: ${error.code}`));
  const body = Buffer.alloc(length, '1');
  if (chunked) { request.write(body); request.end(); } else request.end(body);
});
(async () => {
  for (let round = 0; round < calls; round++) {
    for (const kind of kinds) {
      const wrong = await call(kind);
      if (wrong) console.log(round, wrong);
    }
  }
})();
";

/// Sends calls of these kinds from Node, and panics if a result is not the expected one.
async fn call_from_node(node: &Path, address: SocketAddr, kinds: &[serde_json::Value]) {
    let mut argument = vec![address.port().into(), CALLS.into()];
    argument.extend_from_slice(kinds);
    let mut command = tokio::process::Command::new(node);
    command.arg("-e").arg(NODE);
    command.arg(serde_json::Value::from(argument).to_string());
    let output = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output());
    let output = output.await.expect("an end within a minute").unwrap();
    let wrong = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && wrong.is_empty(),
        "{wrong}{output:?}"
    );
}

fn kind(path: &str, length: usize, status: u16, chunked: bool) -> serde_json::Value {
    serde_json::json!({
        "path": path, "length": length, "status": status, "chunked": chunked, "headers": {"host": "localhost"},
    })
}

#[tokio::test]
async fn every_agent_call_over_reused_node_connections_succeeds() {
    let node = program("node");
    let agent = refusing();
    let mut good = kind("/invocations", 10, 200, false);
    good["headers"]["authorization"] = "yes".into();
    for refused in [
        kind("/invocations", 1_000, 401, false),
        kind("/nope", 60_000, 404, false),
        kind("/nope", 60_000, 404, true),
        kind("/ping", 60_000, 405, false),
        kind("/nope", 2_000_000, 404, false),
    ] {
        call_from_node(&node, agent.addr(), &[refused, good.clone()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_call_over_reused_node_connections_is_answered() {
    let node = program("node");
    let platform = TestPlatform::with(|builder| builder).await;
    let missing = format!("/sandboxes/{}/pause", "i0000000000000000000");
    let mut good = kind(&missing, 0, 404, false);
    good["headers"]["x-api-key"] = platform.platform.api_key().into();
    let mut foreign = kind("/sandboxes", 60_000, 421, false);
    foreign["headers"]["host"] = "evil.example".into();
    for refused in [
        kind("/sandboxes", 1_000, 401, false),
        kind("/sandboxes", 60_000, 401, true),
        kind("/nowhere", 60_000, 404, false),
        kind("/health", 60_000, 405, false),
        kind("/sandboxes", 2_000_000, 401, false),
        foreign,
    ] {
        call_from_node(&node, platform.platform.address(), &[refused, good.clone()]).await;
    }
    platform.stop().await;
}
