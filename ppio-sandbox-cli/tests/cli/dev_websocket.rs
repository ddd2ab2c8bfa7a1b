//! `agent dev`: WebSockets while the agent is replaced.

use std::fs;
use std::io::Write as _;

use crate::support::dev::{
    Dev, PYTHON_AGENT, python_project, python_socket_agent, read_to, rust_project, upgrade,
};
use crate::support::scaffold::edit;
use crate::support::{Sandbox, eventually, is_alive};

/// An agent that sends the name of its version over a WebSocket.
const AGENT: &str = r#"
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() {
    let port = std::env::var("PPIO_AGENT_PORT").unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    eprintln!("process {}", std::process::id());
    for stream in listener.incoming() {
        std::thread::spawn(move || serve(stream.unwrap()));
    }
}

fn serve(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let length = stream.read(&mut head).unwrap();
    if !head[..length].starts_with(b"GET /ws ") {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        return;
    }
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let _ = stream.write_all(head.as_bytes());
    while let Ok(1..) = stream.read(&mut [0; 100]) {
        let _ = stream.write_all(b"the first;");
    }
}
"#;

#[test]
fn an_open_socket_keeps_the_old_agent_until_it_is_closed() {
    let sandbox = Sandbox::new();
    let folder = rust_project(&sandbox, "sockets");
    let main = folder.join("src/main.rs");
    fs::write(&main, AGENT).expect("written");
    let dev = Dev::build(&sandbox, &folder, 0);
    let open = || {
        let mut socket = upgrade(&dev.address());
        let head = read_to(&mut socket, "\r\n\r\n").to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        socket
    };
    let mut old_socket = open();
    let old_agent = dev.agent();

    edit(&main, "the first;", "the second;");
    dev.says("the new sockets is serving");
    let mut new_socket = open();
    for (socket, answer) in [
        (&mut new_socket, "the second;"),
        (&mut old_socket, "the first;"),
    ] {
        socket.write_all(b"x").expect("sent");
        assert_eq!(read_to(socket, ";"), answer);
    }
    assert!(is_alive(old_agent));
    drop(old_socket);
    eventually("the old agent has ended", || !is_alive(old_agent));
    dev.running.interrupt();
    dev.running.wait().code(0);
}

#[test]
fn a_handshake_waits_for_the_agent() {
    let sandbox = Sandbox::new();
    let folder = python_project(&sandbox, PYTHON_AGENT);
    let dev = Dev::start(&sandbox, &folder);
    dev.address();
    let gate = folder.join("gate");
    let start = format!(
        "import os, time\nwhile not os.path.exists({:?}): time.sleep(0.01)\n",
        gate.display().to_string()
    );
    let agent = folder.join("agent.py");
    fs::write(&agent, start + &python_socket_agent()).expect("written");
    dev.says("agent.py changed");
    let mut socket = upgrade(&dev.address());
    fs::write(&gate, "").expect("written");
    let head = read_to(&mut socket, "\r\n\r\n").to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    socket.write_all(b"hello").expect("sent");
    assert_eq!(read_to(&mut socket, "HELLO"), "HELLO");
    drop(socket);
    dev.running.interrupt();
    dev.running.wait().code(0);
}
