//! `agent dev`: what a client, a browser and a terminal get while the project changes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use ppio_test_support::free_port;

use crate::support::dev::{
    Dev, PYTHON_AGENT, ask, open, page, python_project, python_socket_agent, read_to, rust_project,
    upgrade,
};
use crate::support::scaffold::{self, edit};
use crate::support::{Sandbox, eventually, is_alive, send};

#[test]
fn an_edit_loses_no_request_and_a_compile_error_keeps_the_old_agent() {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "edited", "hello");
    let main = folder.join("src/main.rs");
    let mut dev = Dev::build(&sandbox, &folder, 0);
    let address = dev.address();
    let request = "POST /invocations\n{\"prompt\": \"Ada\"}";
    assert!(ask(&address, request).contains("Hello, Ada!"));
    assert!(ask(&address, "GET /ping").starts_with("HTTP/1.1 200 "));
    dev.says("invocation finished");
    dev.says("request_id=");

    // Requests are answered all the time, first by the old agent, then by the new one.
    edit(&main, "Hello, {name}", "Welcome, {name}");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let answer = ask(&address, request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        if answer.contains("Welcome, Ada!") {
            break;
        }
        assert!(answer.contains("Hello, Ada!"), "{answer}");
        assert!(Instant::now() < deadline, "{}", dev.output());
    }
    dev.says("src/main.rs changed");
    dev.says("the new edited is serving");

    edit(&main, "Welcome, {name}", "Welcome, {missing}");
    dev.says("error[E0425]: cannot find value `missing` in this scope");
    dev.says("edited does not compile; the previous agent keeps serving; waiting for a change");
    assert!(ask(&address, request).contains("Welcome, Ada!"));

    edit(&main, "Welcome, {missing}", "Good day, {name}");
    eventually("the new answer is there", || {
        ask(&address, request).contains("Good day, Ada!")
    });

    // A change to a file that the agent might write does not restart the agent.
    fs::write(folder.join("notes.txt"), "remembered").expect("written");
    edit(&main, "Good day", "Good night");
    eventually("the new answer is there", || {
        ask(&address, request).contains("Good night, Ada!")
    });
    assert!(!dev.output().contains("notes.txt"), "{}", dev.output());

    assert!(!dev.running.has_ended());
    dev.running.interrupt();
    let done = dev.running.wait().code(0);
    // The runtime's own report of its start and shutdown is not printed.
    for line in ["listening on", "shutting down"] {
        assert!(!done.stdout.contains(line), "{}", done.stdout);
    }
}

#[test]
fn a_stream_is_forwarded_immediately_and_ends_although_a_new_agent_serves() {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "streaming", "stream");
    let main = folder.join("src/main.rs");
    fs::write(
        &main,
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
    )
    .expect("written");
    let dev = Dev::build(&sandbox, &folder, 0);
    let address = dev.address();
    let gate = folder.join("target").join("gate");
    let request = format!("POST /invocations\n{:?}", gate.display().to_string());

    let mut stream = open(&address, &request);
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains("data: \"first\"") {
        let length = stream.read(&mut part).expect("the first item");
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..length]);
    }

    edit(&main, "last of the old", "last of the new");
    dev.says("the new streaming is serving");
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
fn without_an_agent_a_browser_gets_the_error_and_a_client_gets_503() {
    let sandbox = Sandbox::new();
    let folder = scaffold::project(&sandbox, "broken", "hello");
    let main = folder.join("src/main.rs");
    edit(&main, "async fn agent", "async fn <agent>");
    let port = free_port();
    let dev = Dev::build(&sandbox, &folder, port);
    let address = format!("127.0.0.1:{port}");
    eventually("the proxy listens", || TcpStream::connect(&address).is_ok());
    let building = page(&address);
    assert!(building.starts_with("HTTP/1.1 503 "), "{building}");
    assert!(building.contains("<title>Building…</title>"), "{building}");
    dev.says("broken does not compile; waiting for a change");

    let broken = page(&address);
    assert!(broken.contains("broken does not compile"), "{broken}");
    assert!(broken.contains("async fn &lt;agent&gt;"), "{broken}");
    assert!(!broken.contains('\u{1b}'), "{broken}");
    // The page's request for a changed status is answered immediately.
    let (_, path) = broken.split_once("fetch(\"").expect("a request");
    let (path, _) = path.split_once('"').expect("a path");
    let status_changed = open(&address, &format!("GET {path}"));
    let answer = ask(&address, "POST /invocations\n{}");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert!(
        answer.contains("\"error\":\"broken does not compile\""),
        "{answer}"
    );

    edit(&main, "async fn <agent>", "async fn agent");
    let mut answer = String::new();
    { status_changed }
        .read_to_string(&mut answer)
        .expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    dev.says("broken is serving on");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn a_python_agent_is_restarted_on_a_change_and_requests_wait_for_it() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    dev.says("debug true inspects true");
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
        assert!(Instant::now() < deadline, "{}", dev.output());
    }
    eventually("the old agent is gone", || !is_alive(old));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn the_output_of_a_crashed_agent_is_shown_and_a_change_is_waited_for() {
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
    dev.says("error: my-agent exited at its start (exit status: 7)\nwaiting for a change\n");
    let address = format!("127.0.0.1:{port}");
    let page = page(&address);
    assert!(page.contains("no such &lt;model&gt;"), "{page}");

    fs::write(folder.join("agent.py"), PYTHON_AGENT).expect("written");
    assert_eq!(dev.address(), address);
    assert!(ask(&address, "GET /").ends_with("GREETING"));

    // The same happens after a crash of an agent that serves.
    send(dev.agent(), Signal::KILL);
    dev.says("error: the agent exited (signal: 9 (SIGKILL))\nwaiting for a change\n");
    let answer = ask(&address, "GET /");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn broken_yaml_is_shown_with_its_line_while_the_agent_serves() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    let file = folder.join("agent.yaml");
    let yaml = fs::read_to_string(&file).expect("agent.yaml");
    fs::write(&file, yaml.replace("my-agent", "My Agent")).expect("written");
    dev.says("agent.yaml:3:9: metadata.name: ");
    dev.says("the previous agent keeps serving; waiting for a change");
    assert!(ask(&address, "GET /").ends_with("GREETING"));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn killing_the_command_ends_the_agent_and_its_detached_children() {
    let sandbox = Sandbox::new();
    // The agent starts a child in another session, and so in another process group.
    let agent = PYTHON_AGENT.replace(
        "server.serve_forever()",
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'], \
         start_new_session=True)\nprint('child', child.pid, \
         file=sys.stderr)\nserver.serve_forever()",
    );
    for signal in [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = python_project(&sandbox, &agent);
        let dev = Dev::start(&sandbox, &folder);
        dev.address();
        dev.says("child ");
        let said = dev.output();
        let (_, child) = said.rsplit_once("child ").expect("a process id");
        let child: u32 = child
            .lines()
            .next()
            .expect("a line")
            .parse()
            .expect("an id");
        let agent = said.rsplit_once("process ").expect("a process id").1;
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
            // No process is left when the command exits, unless the command was killed.
            assert!(!is_alive(agent) && !is_alive(child), "{signal:?}");
        }
        eventually("both processes end", || {
            !is_alive(agent) && !is_alive(child)
        });
    }
}

#[test]
fn an_agent_that_ignores_sigterm_is_killed() {
    let sandbox = Sandbox::new();
    let agent = PYTHON_AGENT.replace(
        "server.serve_forever()",
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('not now', \
         file=sys.stderr))\nserver.serve_forever()",
    );
    let folder = python_project(&sandbox, &agent);
    let dev = Dev::start(&sandbox, &folder);
    dev.address();
    let agent = dev.agent();
    dev.running.interrupt();
    dev.says("not now");
    // A second Ctrl-C kills the agent immediately.
    dev.running.interrupt();
    dev.running.wait().code(0);
    assert!(!is_alive(agent));
}

#[test]
fn a_failed_test_leaves_no_agent_behind() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    dev.address();
    let (command, agent) = (dev.running.pid(), dev.agent());
    assert!(is_alive(command) && is_alive(agent));
    drop(dev);
    assert!(!is_alive(command) && !is_alive(agent));
}

#[test]
fn a_port_in_use_is_reported_before_the_build() {
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
    done.says("another program uses the port").says("--port ");
}

#[test]
fn json_output_is_an_event_a_line() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let command = sandbox.command(["agent", "dev", "--port", "0", "--json"]);
    let running = command.in_folder(&folder).spawn();
    eventually("the agent serves", || {
        running.stdout().contains("\"serving\"")
    });
    running.interrupt();
    let done = running.wait().code(0);
    assert_eq!(done.stderr, "");
    let events = done.json_lines();
    assert_eq!(events[0]["event"], "building");
    assert!(events.iter().any(|event| event["event"] == "log"));
    let serving = events.iter().find(|event| event["event"] == "serving");
    let url = serving.expect("an event")["url"].as_str().expect("a URL");
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
}

#[test]
fn release_builds_with_the_release_profile() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "optimised");
    let dev = ["agent", "dev", "--port", "0", "--release"];
    let running = scaffold::command(&sandbox, &folder, &dev).spawn();
    let dev = Dev { running };
    assert!(ask(&dev.address(), "GET /").ends_with("release profile"));
    // The release profile is used after a change as well.
    let (before, after) = ("release profile", "release profile for the world");
    edit(&folder.join("src/main.rs"), before, after);
    dev.says("the new optimised is serving");
    assert!(ask(&dev.address(), "GET /").ends_with("for the world"));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn an_agent_on_another_port_is_reported_with_help() {
    let sandbox = Sandbox::new();
    let port = free_port();
    let own_port = format!("port = {port}");
    let agent = PYTHON_AGENT.replace("port = int(os.environ[\"PPIO_AGENT_PORT\"])", &own_port);
    assert!(agent.contains(&own_port));
    let folder = python_project(&sandbox, &agent);
    let proxy_port = free_port();
    let dev = ["agent", "dev", "--port", &proxy_port.to_string()];
    let running = sandbox.command(dev).in_folder(&folder).spawn();
    let dev = Dev { running };
    dev.says("error: my-agent does not listen on PPIO_AGENT_PORT ");
    dev.says(&format!("\n  the agent listens on port {port}\n"));
    dev.says("help: make the agent listen on PPIO_AGENT_PORT, or on 8080 if that is not set\n");
    // A request gets the same error without waiting.
    let address = format!("127.0.0.1:{proxy_port}");
    let answer = ask(&address, "GET /");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.contains("does not listen on PPIO_AGENT_PORT"),
        "{answer}"
    );
    let page = page(&address);
    assert!(
        page.contains(&format!("the agent listens on port {port}")),
        "{page}"
    );

    fs::write(folder.join("agent.py"), PYTHON_AGENT).expect("written");
    assert_eq!(dev.address(), address);
    assert!(ask(&address, "GET /").ends_with("GREETING"));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn an_agent_that_starts_slowly_is_waited_for() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate");
    let wait = format!(
        "import time\nwhile not os.path.exists({gate:?}):\n    time.sleep(0.01)\nserver = http"
    );
    let folder = python_project(&sandbox, &PYTHON_AGENT.replace("server = http", &wait));
    let dev = Dev::start(&sandbox, &folder);
    dev.says("the agent does not listen on PPIO_AGENT_PORT (");
    fs::write(gate, "").expect("written");
    assert!(ask(&dev.address(), "GET /").ends_with("GREETING"));
    assert!(!dev.output().contains("error"), "{}", dev.output());
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn an_upgraded_connection_is_forwarded_to_the_agent() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, &python_socket_agent());
    let dev = Dev::start(&sandbox, &folder);
    let mut socket = upgrade(&dev.address());
    let head = read_to(&mut socket, "\r\n\r\n").to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    assert!(
        head.contains("sec-websocket-accept: for bm9uy2u=\r\n"),
        "{head}"
    );
    for word in ["hello", "again"] {
        socket.write_all(word.as_bytes()).expect("sent");
        assert_eq!(
            read_to(&mut socket, &word.to_uppercase()),
            word.to_uppercase()
        );
    }
    drop(socket);
    dev.says("the caller is gone");

    // An agent without upgrades answers with its own response.
    fs::write(folder.join("agent.py"), PYTHON_AGENT).expect("written");
    dev.says("the new my-agent is serving");
    let answer = read_to(&mut upgrade(&dev.address()), "GREETING");
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");

    // Without an agent the answer is 503.
    fs::write(folder.join("agent.py"), "import sys\nsys.exit(1)\n").expect("written");
    dev.says("error: my-agent exited at its start");
    let answer = read_to(&mut upgrade(&dev.address()), "}");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("my-agent exited at its start"), "{answer}");
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn requests_of_other_hosts_and_origins_are_refused() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let command = sandbox
        .command(["agent", "dev", "--port", "0"])
        .in_folder(&folder)
        .env("PPIO_AGENT_CORS_ORIGINS", "https://app.example.com");
    let dev = Dev {
        running: command.spawn(),
    };
    let address = dev.address();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let status = |head: &str| {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        write!(stream, "GET / HTTP/1.1\r\n{head}connection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    };
    for head in [
        &*format!("host: {address}\r\n"),
        "host: localhost:9\r\norigin: http://localhost:3000\r\n",
        "host: localhost\r\norigin: https://app.example.com\r\n",
    ] {
        let answer = status(head);
        assert!(answer.contains(" 200 OK\r\n"), "{head}: {answer}");
    }
    for (head, refused) in [
        ("host: rebound.example\r\n", "421 Misdirected Request"),
        (
            "host: localhost\r\norigin: https://evil.example\r\n",
            "403 Forbidden",
        ),
        ("host: localhost\r\norigin: null\r\n", "403 Forbidden"),
        ("", "400 Bad Request"),
    ] {
        let answer = status(head);
        let expected = format!("HTTP/1.1 {refused}");
        assert!(answer.starts_with(&expected), "{head}: {answer}");
        assert!(!answer.contains("GREETING"), "{head}: {answer}");
    }
}

/// Sends a request whose body follows only after the answer, then another request over the same
/// connection. Returns both status lines.
fn answered_before_the_body(address: &str, host: &str) -> [String; 2] {
    let mut stream = TcpStream::connect(address).expect("the proxy listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let length = 60_000;
    write!(
        stream,
        "POST /invocations HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n"
    )
    .expect("a head");
    let mut first = BufReader::new(stream.try_clone().expect("another handle"));
    let mut status = String::new();
    first.read_line(&mut status).expect("a status line");
    let mut rest = 0;
    loop {
        let mut line = String::new();
        first.read_line(&mut line).expect("a header");
        if line == "\r\n" {
            break;
        }
        if let Some(length) = line.strip_prefix("content-length: ") {
            rest = length.trim().parse().expect("a length");
        }
    }
    first.read_exact(&mut vec![0; rest]).expect("a body");

    let mut next = vec![b'1'; length];
    next.extend_from_slice(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    // If the connection is closed, the second answer is missing.
    let _ = stream.write_all(&next);
    let mut answer = Vec::new();
    let _ = first.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let next = answer.lines().next().unwrap_or("no answer");
    [status.trim().to_owned(), next.to_owned()]
}

#[test]
fn an_answer_before_the_body_leaves_the_connection_usable() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    let address = dev.address();
    let [refused, next] = answered_before_the_body(&address, "evil.example");
    assert_eq!(refused, "HTTP/1.1 421 Misdirected Request");
    // The HTTP version in the status line is the agent's.
    assert!(next.ends_with(" 200 OK"), "{next}");

    fs::write(folder.join("agent.py"), "import sys\nsys.exit(7)\n").expect("written");
    dev.says("waiting for a change");
    let [refused, next] = answered_before_the_body(&address, "localhost");
    assert_eq!(refused, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(next, "HTTP/1.1 503 Service Unavailable");
    dev.running.interrupt();
    dev.running.wait().code(0);
}
