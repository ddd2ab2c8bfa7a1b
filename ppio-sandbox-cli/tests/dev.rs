//! `agent dev`: what a request, a browser and a person at the terminal see while the author works.

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::cargo_project::CargoProject;
use support::{Running, Sandbox, send, until, until_compiled};

/// An agent in Python without any package: it starts at once.
const PYTHON_AGENT: &str = r#"
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
print("debug", os.environ["PPIO_AGENT_DEBUG"], "process", os.getpid(), file=sys.stderr)
server.serve_forever()
"#;

fn python_project(sandbox: &Sandbox, agent: &str) -> PathBuf {
    let folder = sandbox.project("my-agent", "");
    let yaml = fs::read_to_string(folder.join("agent.yaml")).expect("agent.yaml");
    let yaml = yaml.replace("src/main.rs", "agent.py");
    fs::write(folder.join("agent.yaml"), yaml).expect("written");
    fs::write(folder.join("agent.py"), agent).expect("written");
    folder
}

/// `agent dev` under way.
struct Dev {
    running: Running,
}

impl Dev {
    fn start(sandbox: &Sandbox, folder: &Path) -> Self {
        let command = sandbox.command(["agent", "dev", "--port", "0"]);
        let running = command.in_folder(folder).spawn();
        Self { running }
    }

    /// Waits for words of the command or of the agent.
    fn says(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !self.said().contains(words) {
            assert!(Instant::now() < deadline, "no {words:?} in {}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&self) -> String {
        format!("{}{}", self.running.stdout(), self.running.stderr())
    }

    fn address(&self) -> String {
        self.says(" serves on http://");
        let said = self.said();
        let (_, rest) = said.split_once("http://").expect("a URL");
        let (address, _) = rest.split_once('/').expect("a URL with a path");
        address.to_owned()
    }

    /// The process of the agent that was started last.
    fn agent(&self) -> u32 {
        let said = self.said();
        let (_, id) = said.rsplit_once("process ").expect("the agent tells");
        let id = id.lines().next().expect("a line");
        id.parse().expect("a process id")
    }
}

/// Sends a request and reads the answer to its end.
fn ask(address: &str, request: &str) -> String {
    let mut answer = String::new();
    open(address, request)
        .read_to_string(&mut answer)
        .expect("an answer");
    answer
}

fn open(address: &str, request: &str) -> TcpStream {
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    send_request(address, line, "accept: */*", body)
}

/// The page that a browser opens.
fn page(address: &str) -> String {
    let mut page = String::new();
    send_request(address, "GET /", "accept: text/html,*/*", "")
        .read_to_string(&mut page)
        .expect("a page");
    page
}

fn send_request(address: &str, line: &str, header: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the front listens");
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    stream
}

fn is_alive(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[test]
fn an_edit_is_served_without_a_request_lost_and_a_compile_error_is_survived() {
    let project = CargoProject::start("edited", "hello");
    let mut dev = Dev {
        running: project.command(["agent", "dev", "--port", "0"]).spawn(),
    };
    let address = dev.address();
    let request = "POST /invocations\n{\"prompt\": \"Ada\"}";
    assert!(ask(&address, request).contains("Hello, Ada!"));
    assert!(ask(&address, "GET /ping").starts_with("HTTP/1.1 200 "));
    dev.says("invocation finished");
    dev.says("request_id=");

    // The agent answers all the while, first as it was, then as it is now.
    project.edit("src/main.rs", "Hello, {name}", "Welcome, {name}");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = ask(&address, request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        if answer.contains("Welcome, Ada!") {
            break;
        }
        assert!(answer.contains("Hello, Ada!"), "{answer}");
        assert!(Instant::now() < deadline, "{}", dev.said());
    }
    dev.says("src/main.rs changed");
    dev.says("the new edited serves");

    project.edit("src/main.rs", "Welcome, {name}", "Welcome, {nobody}");
    dev.says("error[E0425]: cannot find value `nobody` in this scope");
    dev.says("edited does not compile; the agent from before serves on; waiting for a change");
    assert!(ask(&address, request).contains("Welcome, Ada!"));

    project.edit("src/main.rs", "Welcome, {nobody}", "Good day, {name}");
    until_compiled("the new answer is there", || {
        ask(&address, request).contains("Good day, Ada!")
    });

    // What the agent itself might write is no reason to start anew.
    project.write("notes.txt", "remembered");
    project.edit("src/main.rs", "Good day", "Good night");
    until_compiled("the new answer is there", || {
        ask(&address, request).contains("Good night, Ada!")
    });
    assert!(!dev.said().contains("notes.txt"), "{}", dev.said());

    assert!(!dev.running.has_ended());
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn a_stream_comes_as_it_is_made_and_ends_well_though_a_new_agent_serves() {
    let project = CargoProject::start("streaming", "stream");
    project.write(
        "src/main.rs",
        r#"
#[ppio::entrypoint]
fn agent(gate: String) -> impl Iterator<Item = String> {
    let last = std::iter::once_with(move || {
        while !std::path::Path::new(&gate).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        "last of the old".to_owned()
    });
    std::iter::once("first".to_owned()).chain(last)
}
"#,
    );
    let dev = Dev {
        running: project.command(["agent", "dev", "--port", "0"]).spawn(),
    };
    let address = dev.address();
    let gate = project.folder().join("target").join("gate");
    let request = format!("POST /invocations\n{:?}", gate.display().to_string());

    let mut stream = open(&address, &request);
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("data: \"first\"") {
        let length = stream.read(&mut part).expect("the first item");
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }

    project.edit("src/main.rs", "last of the old", "last of the new");
    dev.says("the new streaming serves");
    fs::create_dir_all(gate.parent().expect("a folder")).expect("made");
    fs::write(&gate, "").expect("written");
    assert!(ask(&address, &request).contains("data: \"last of the new\""));
    stream.read_to_end(&mut answer).expect("the rest");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("data: \"last of the old\""), "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn before_there_is_an_agent_a_browser_sees_why_and_a_program_is_told_to_come_again() {
    let project = CargoProject::start("broken", "hello");
    project.edit("src/main.rs", "async fn agent", "async fn <agent>");
    let port = free_port();
    let dev = Dev {
        running: project
            .command(["agent", "dev", "--port", &port.to_string()])
            .spawn(),
    };
    let address = format!("127.0.0.1:{port}");
    until("the front listens", || TcpStream::connect(&address).is_ok());
    let building = page(&address);
    assert!(building.starts_with("HTTP/1.1 503 "), "{building}");
    assert!(building.contains("<title>Building…</title>"), "{building}");
    dev.says("broken does not compile; waiting for a change");

    let broken = page(&address);
    assert!(broken.contains("broken does not compile"), "{broken}");
    assert!(broken.contains("async fn &lt;agent&gt;"), "{broken}");
    assert!(!broken.contains('\u{1b}'), "{broken}");
    // The page asks whether there is news, and hears of it at once.
    let (_, news) = broken.split_once("fetch(\"").expect("it asks");
    let (news, _) = news.split_once('"').expect("an address");
    let news = open(&address, &format!("GET {news}"));
    let answer = ask(&address, "POST /invocations\n{}");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert!(
        answer.contains("\"error\":\"broken does not compile\""),
        "{answer}"
    );

    project.edit("src/main.rs", "async fn <agent>", "async fn agent");
    let mut heard = String::new();
    { news }.read_to_string(&mut heard).expect("news");
    assert!(heard.starts_with("HTTP/1.1 204 "), "{heard}");
    dev.says("broken serves on");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn a_python_agent_starts_anew_on_a_change_and_requests_wait_for_it() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    dev.says("debug true");
    assert!(ask(&address, "GET /").ends_with("GREETING"));
    let old = dev.agent();

    fs::write(
        folder.join("agent.py"),
        PYTHON_AGENT.replace("GREETING", "hello again"),
    )
    .expect("written");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = ask(&address, "GET /");
        assert!(answer.starts_with("HTTP/1.0 200 ") || answer.starts_with("HTTP/1.1 200 "));
        if answer.ends_with("hello again") {
            break;
        }
        assert!(Instant::now() < deadline, "{}", dev.said());
    }
    until("the old agent is gone", || !is_alive(old));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn an_agent_that_crashes_shows_its_last_words_and_waits_for_a_change() {
    let sandbox = Sandbox::new();
    let crash = "import sys\nprint('no such <model>', file=sys.stderr)\nsys.exit(7)\n";
    let folder = python_project(&sandbox, crash);
    let port = free_port();
    let port_text = port.to_string();
    let dev = Dev {
        running: sandbox
            .command(["agent", "dev", "--port", &port_text])
            .in_folder(&folder)
            .spawn(),
    };
    dev.says("no such <model>\n");
    dev.says("error: my-agent ended at its start (exit status: 7)\nwaiting for a change\n");
    let address = format!("127.0.0.1:{port}");
    let page = page(&address);
    assert!(page.contains("no such &lt;model&gt;"), "{page}");

    fs::write(folder.join("agent.py"), PYTHON_AGENT).expect("written");
    assert_eq!(dev.address(), address);
    assert!(ask(&address, "GET /").ends_with("GREETING"));

    // Later it may crash as well.
    send(dev.agent(), Signal::KILL);
    dev.says("error: the agent ended (signal: 9 (SIGKILL))\nwaiting for a change\n");
    let answer = ask(&address, "GET /");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn broken_yaml_while_it_runs_is_shown_with_its_place() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    let file = folder.join("agent.yaml");
    let yaml = fs::read_to_string(&file).expect("agent.yaml");
    fs::write(&file, yaml.replace("my-agent", "My Agent")).expect("written");
    dev.says("agent.yaml:3:9: metadata.name: ");
    dev.says("the agent from before serves on; waiting for a change");
    assert!(ask(&address, "GET /").ends_with("GREETING"));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn killing_it_ends_the_agent_and_what_the_agent_started_elsewhere() {
    let sandbox = Sandbox::new();
    // A child in a session of its own, which no process group reaches.
    let agent = PYTHON_AGENT.replace(
        "server.serve_forever()",
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint('child', child.pid, file=sys.stderr)\nserver.serve_forever()",
    );
    for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = python_project(&sandbox, &agent);
        let dev = Dev::start(&sandbox, &folder);
        dev.address();
        dev.says("child ");
        let said = dev.said();
        let (_, child) = said.rsplit_once("child ").expect("told");
        let child: u32 = child
            .lines()
            .next()
            .expect("a line")
            .parse()
            .expect("an id");
        let agent = said.rsplit_once("process ").expect("told").1;
        let agent: u32 = agent
            .lines()
            .next()
            .expect("a line")
            .parse()
            .expect("an id");
        assert!(is_alive(agent) && is_alive(child));
        send(dev.running.pid(), signal);
        let done = dev.running.wait();
        if signal != Signal::KILL {
            done.code(0);
            // In order: nothing is left when it has ended.
            assert!(!is_alive(agent) && !is_alive(child), "{signal:?}");
        }
        until("nothing is left", || !is_alive(agent) && !is_alive(child));
    }
}

#[test]
fn an_agent_that_does_not_want_to_end_is_killed() {
    let sandbox = Sandbox::new();
    let agent = PYTHON_AGENT.replace(
        "server.serve_forever()",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nserver.serve_forever()",
    );
    let folder = python_project(&sandbox, &agent);
    let dev = Dev::start(&sandbox, &folder);
    dev.address();
    let agent = dev.agent();
    // The second time without any patience.
    dev.running.interrupt();
    until("it begins to end", || {
        thread::sleep(Duration::from_millis(100));
        true
    });
    dev.running.interrupt();
    dev.running.wait().code(0);
    assert!(!is_alive(agent));
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_built() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("bound").port().to_string();
    let done = sandbox
        .command(["agent", "dev", "--port", &port])
        .in_folder(&folder)
        .run()
        .code(2);
    let done = done.says(&format!("error: cannot listen on port {port}\n"));
    done.says("another program listens there").says("--port ");
}

#[test]
fn programs_read_one_event_a_line() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let command = sandbox.command(["agent", "dev", "--port", "0", "--json"]);
    let running = command.in_folder(&folder).spawn();
    until("it serves", || running.stdout().contains("\"serving\""));
    running.interrupt();
    let done = running.wait().code(0);
    assert_eq!(done.stderr, "");
    let events = done.json_lines();
    assert_eq!(events[0]["event"], "building");
    assert!(events.iter().any(|event| event["event"] == "log"));
    let serving = events.iter().find(|event| event["event"] == "serving");
    let url = serving.expect("it serves")["url"].as_str().expect("a URL");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}
