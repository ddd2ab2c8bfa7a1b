//! Runs `agent dev` with small agents, and sends requests to it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{Running, Sandbox, scaffold};

/// An agent in Python without packages, which starts quickly.
pub(crate) const PYTHON_AGENT: &str = r#"
import http.server, json, os, sys

class Agent(http.server.BaseHTTPRequestHandler):
    def answer(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        self.answer("GREETING" if self.path != "/ping" else "{}")

    def log_message(self, *words):
        pass

port = int(os.environ["PPIO_AGENT_PORT"])
server = http.server.ThreadingHTTPServer((os.environ["PPIO_AGENT_HOST"], port), Agent)
print("debug", os.environ["PPIO_AGENT_DEBUG"], "inspects", os.environ["PPIO_AGENT_INSPECT_RUNS"], "process", os.getpid(), file=sys.stderr)
server.serve_forever()
"#;

pub(crate) fn python_project(sandbox: &Sandbox, agent: &str) -> PathBuf {
    let folder = sandbox.project("my-agent", "");
    let yaml = fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml");
    let yaml = yaml.replace("src/main.rs", "agent.py");
    fs::write(folder.join("agent.yaml"), yaml).expect("written");
    fs::write(folder.join("agent.py"), agent).expect("written");
    folder
}

/// An agent in Rust without dependencies, which compiles quickly. The agent answers with its build
/// profile.
const RUST_AGENT: &str = r#"
use std::io::{Read, Write};

fn main() {
    let port = std::env::var("PPIO_AGENT_PORT").unwrap();
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    eprintln!("process {}", std::process::id());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let text = if cfg!(debug_assertions) { "debug profile" } else { "release profile" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
        let _ = write!(stream, "{head}{text}");
    }
}
"#;

/// Returns a Rust project of this name, with [`RUST_AGENT`].
pub(crate) fn rust_project(sandbox: &Sandbox, name: &str) -> PathBuf {
    let folder = sandbox.project(name, "");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::create_dir(folder.join("src")).expect("a folder");
    fs::write(folder.join("src/main.rs"), RUST_AGENT).expect("written");
    folder
}

/// A running `agent dev`.
pub(crate) struct Dev {
    pub(crate) running: Running,
}

impl Dev {
    pub(crate) fn start(sandbox: &Sandbox, folder: &Path) -> Self {
        let command = sandbox.command(["agent", "dev", "--port", "0"]);
        let running = command.in_folder(folder).spawn();
        Self { running }
    }

    /// Like [`start`](Self::start), for a project that cargo builds.
    pub(crate) fn build(sandbox: &Sandbox, folder: &Path, port: u16) -> Self {
        let arguments = ["agent", "dev", "--port", &port.to_string()];
        let running = scaffold::command(sandbox, folder, &arguments).spawn();
        Self { running }
    }

    /// Waits for output of the command or of the agent.
    pub(crate) fn says(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !self.output().contains(words) {
            assert!(
                Instant::now() < deadline,
                "no {words:?} in {}",
                self.output()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.running.stdout(), self.running.stderr())
    }

    pub(crate) fn address(&self) -> String {
        self.says(" is serving on http://");
        let output = self.output();
        let (_, rest) = output.split_once("http://").expect("a URL");
        let (address, _) = rest.split_once('/').expect("a URL with a path");
        address.to_owned()
    }

    /// Returns the process id of the agent that was started last.
    pub(crate) fn agent(&self) -> u32 {
        let output = self.output();
        let (_, id) = output
            .rsplit_once("process ")
            .expect("the agent prints its id");
        let id = id.lines().next().expect("a line");
        id.parse().expect("a process id")
    }
}

/// Sends a request and reads the answer to its end.
pub(crate) fn ask(address: &str, request: &str) -> String {
    let mut answer = String::new();
    open(address, request)
        .read_to_string(&mut answer)
        .expect("an answer");
    answer
}

pub(crate) fn open(address: &str, request: &str) -> TcpStream {
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    send_request(address, line, "accept: */*", body)
}

/// Requests `/` as a browser does.
pub(crate) fn page(address: &str) -> String {
    let mut page = String::new();
    send_request(address, "GET /", "accept: text/html,*/*", "")
        .read_to_string(&mut page)
        .expect("a page");
    page
}

pub(crate) fn send_request(address: &str, line: &str, header: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\ncontent-type: \
         application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    stream
}

/// Returns an agent in Python that serves `/ws`: after the upgrade it answers in upper case.
pub(crate) fn python_socket_agent() -> String {
    let agent = PYTHON_AGENT.replace(
        "    def log_message",
        r#"
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers["upgrade"] != "websocket":
            return self.answer("{}")
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.send_header("sec-websocket-accept", "for " + self.headers["sec-websocket-key"])
        self.end_headers()
        while part := self.connection.recv(100):
            self.connection.sendall(part.upper())
        print("the caller is gone", file=sys.stderr)

    def log_message"#,
    );
    agent.replace(
        "self.end_headers()\n        self.wfile",
        "self.send_header('content-length', \
         str(len(text)))\n        self.end_headers()\n        self.wfile",
    )
}

/// Requests a WebSocket, as a browser does.
pub(crate) fn upgrade(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    write!(
        stream,
        "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: \
         websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: bm9uY2U=\r\n\r\n"
    )
    .expect("sent");
    stream
}

/// Reads until this text.
pub(crate) fn read_to(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = String::new();
    let mut byte = [0];
    while !seen.ends_with(end) {
        let count = stream.read(&mut byte).expect("an answer");
        assert!(count > 0, "no {end:?} in {seen}");
        seen.push(byte[0].into());
    }
    seen
}
