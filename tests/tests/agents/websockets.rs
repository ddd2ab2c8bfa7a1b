//! Runs the WebSocket example as a reader would, and checks its variables, log and signals.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use ppio_test_support::{AgentProcess, eventually_some};
use serde_json::{Value, json};

/// The time limit for an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection after the handshake.
struct Socket(TcpStream);

impl Socket {
    fn open(agent: &AgentProcess) -> Self {
        let mut stream = TcpStream::connect(agent.addr()).unwrap();
        stream.set_read_timeout(Some(READ_TIMEOUT)).unwrap();
        let handshake = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         x-request-id: r-1\r\n\r\n";
        stream.write_all(handshake.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    /// Sends a frame of up to 125 bytes, with a mask of zeros.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        self.0.write_all(&frame).unwrap();
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    fn json(&mut self) -> Value {
        let (first, payload) = self.receive();
        assert_eq!(first, 0x81, "{payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// Answers the close frame and returns its code.
    fn closed(&mut self) -> u16 {
        let (first, payload) = self.receive();
        assert_eq!(first, 0x88, "{payload:?}");
        self.send(0x88, &payload[..2]);
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

#[test]
fn each_message_has_an_answer_word_by_word() {
    let agent = AgentProcess::start("websocket");
    let mut socket = Socket::open(&agent);
    socket.send(0x81, b"nice to");
    assert_eq!(socket.json(), json!({"delta": "nice "}));
    assert_eq!(socket.json(), json!({"delta": "to"}));
    assert_eq!(socket.json(), json!({"done": 1, "session": null}));
    socket.send(0x81, b"bye");
    assert_eq!(socket.closed(), 4000);
}

#[test]
fn variables_limit_sizes_and_the_idle_time() {
    for (name, value) in [("MAX_FRAME_SIZE", "4"), ("MAX_MESSAGE_SIZE", "4")] {
        let agent = AgentProcess::example("websocket")
            .env(format!("PPIO_AGENT_WEBSOCKET_{name}"), value)
            .start();
        let mut socket = Socket::open(&agent);
        socket.send(0x82, b"1234");
        assert_eq!(socket.receive().1, b"1234", "{name}");
        socket.send(0x82, b"12345");
        assert_eq!(socket.closed(), 1009, "{name}");
    }
    let agent = AgentProcess::example("websocket")
        .env("PPIO_AGENT_WEBSOCKET_IDLE_TIMEOUT", "0.1")
        .start();
    assert_eq!(Socket::open(&agent).closed(), 1001);
}

/// Waits for the only log line with the request id `r-1`, and returns this line.
async fn logged(agent: &AgentProcess) -> Value {
    eventually_some("the end of the session in the log", async || {
        let log = agent.stderr();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut about: Vec<Value> = lines
            .filter(|line: &Value| line["request_id"] == "r-1")
            .collect();
        assert!(about.len() < 2, "{log}");
        about.pop()
    })
    .await
}

#[tokio::test]
async fn a_session_is_logged_once_at_its_end() {
    let start = || {
        AgentProcess::example("websocket")
            .env("PPIO_AGENT_LOG", "info")
            .start()
    };
    let agent = start();
    let mut socket = Socket::open(&agent);
    socket.send(0x81, b"a b");
    for _ in 0..3 {
        socket.json();
    }
    socket.send(0x81, b"bye");
    socket.closed();
    let line = logged(&agent).await;
    assert_eq!(line["message"], "invocation finished", "{line}");
    assert_eq!((&line["status"], &line["items"]), (&json!(101), &json!(3)));
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");

    let agent = start();
    drop(Socket::open(&agent));
    let line = logged(&agent).await;
    let text = line["message"].as_str().unwrap();
    assert!(text.contains("client disconnected"), "{line}");
}

#[test]
fn a_signal_closes_every_socket() {
    let agent = AgentProcess::start("websocket");
    let mut socket = Socket::open(&agent);
    agent.terminate();
    assert_eq!(socket.closed(), 1001);
    assert!(agent.stop_gracefully().success());
}
