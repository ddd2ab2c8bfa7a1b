//! A server in this process, and an HTTP client that exposes every byte.

use std::net::SocketAddr;

use ppio::{AgentRuntimeApp, RuntimeConfig, StartError, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use ppio_test_support::{DEADLINE as TIMEOUT, eventually, with_timeout};

/// A configuration with a free port of 127.0.0.1.
pub(crate) fn config() -> RuntimeConfig {
    RuntimeConfig::new().host("127.0.0.1").port(0)
}

/// An agent that returns its request.
pub(crate) fn echo(config: RuntimeConfig) -> Result<AgentRuntimeApp, StartError> {
    AgentRuntimeApp::builder()
        .config(config)
        .entrypoint(|request: Value| async { request })
        .build()
}

/// A running server. Dropping the value shuts the server down.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(app: Result<AgentRuntimeApp, StartError>) -> Self {
        let app = app.expect("a configuration that can be used");
        let server = app.bind().await.expect("a free port");
        let address = server.local_addr();
        let (shutdown, asked) = oneshot::channel();
        let task = tokio::spawn(server.serve_until(async {
            // An error means that the sender was dropped, which begins the shutdown as well.
            let _ = asked.await;
        }));
        Self {
            address,
            shutdown: Some(shutdown),
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    /// Sends one request on a new connection and reads the response.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect().await;
        connection.write(request).await;
        connection.answer().await
    }

    /// Invokes the agent with a JSON text.
    pub(crate) async fn invoke(&self, body: &str) -> Answer {
        self.send(invocation(body)).await
    }

    /// Checks that the server still answers; tests of invalid input end with this check.
    pub(crate) async fn assert_alive(&self) {
        let ping = self.send(get("/ping")).await;
        assert_eq!(ping.status, 200);
        assert_eq!(ping.json()["status"], "Healthy");
    }

    /// Reads a metric from `/metrics` by its name without the prefix, with some of its labels.
    /// Returns the sum of all samples with these labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let page = self.send(get("/metrics")).await;
        ppio_test_support::metric(page.text(), name)
    }

    /// Waits until no invocation runs.
    pub(crate) async fn idle(&self) {
        with_timeout("the end of every invocation", async {
            while self.metric("invocations_running").await > 0 {}
        })
        .await;
    }

    /// Begins the shutdown.
    pub(crate) fn begin_shutdown(&mut self) {
        self.shutdown.take();
    }

    /// Waits until the server has ended, after [`begin_shutdown`](Self::begin_shutdown).
    pub(crate) async fn ended(self) {
        with_timeout("the end of the server", self.task)
            .await
            .expect("the server does not panic");
    }
}

/// A `POST /invocations` with a JSON text.
pub(crate) fn invocation(body: &str) -> String {
    invocation_with("", body)
}

/// Like [`invocation`], with further header lines, each ending in CRLF.
pub(crate) fn invocation_with(headers: &str, body: &str) -> String {
    format!(
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A `GET` of a path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// One connection of a client.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

/// The status line and headers of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) version: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.headers.iter().filter(move |(key, _)| key == name);
        values.map(|(_, value)| value.as_str())
    }

    /// The only value of a header. Panics if there are several.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} occurs twice");
        value
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// Checks the whole error body, and returns its text.
    pub(crate) fn error(&self, status: u16, error_type: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["result"], Value::Null);
        assert_eq!(body["status"], "error");
        assert_eq!(body["error_type"], error_type, "{body}");
        assert!(body["duration"].as_f64().is_some_and(|it| it >= 0.0));
        let id = self.header("x-request-id").expect("an id");
        assert_eq!(body["metadata"]["request_id"], id);
        body["error"].as_str().expect("an error text").to_owned()
    }

    /// Checks the envelope of a success, and returns the result.
    pub(crate) fn result(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], "success");
        assert_eq!(body["error"], Value::Null);
        body["result"].clone()
    }

    /// The data of all events of a streamed answer.
    pub(crate) fn events(&self) -> Vec<Value> {
        let content_type = self.header("content-type");
        assert_eq!(content_type, Some("text/event-stream; charset=utf-8"));
        let events = self.text().split_terminator("\n\n");
        events.filter_map(event_data).collect()
    }
}

/// The data of one event; `None` for a comment.
fn event_data(event: &str) -> Option<Value> {
    if event.starts_with(':') {
        return None;
    }
    let data = event.strip_prefix("data: ").expect("a data line");
    Some(serde_json::from_str(data).expect("JSON data"))
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(stream)
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        with_timeout("the write", self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the server reads");
    }

    /// Reads more bytes; returns false at the end of the connection.
    async fn fill(&mut self) -> bool {
        let read = with_timeout("the next byte", self.stream.read_buf(&mut self.unread)).await;
        read.is_ok_and(|bytes| bytes > 0)
    }

    /// Takes everything up to and including `end`.
    async fn take_through(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|it| it == end) {
                return self.unread.drain(..at + end.len()).collect();
            }
            let got = String::from_utf8_lossy(&self.unread).into_owned();
            assert!(self.fill().await, "the connection ended after {got:?}");
        }
    }

    pub(crate) async fn take_exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill().await, "the connection ended in mid-body");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.unread)
    }

    /// Reads the status line and headers of the next answer, but not its body.
    pub(crate) async fn head(&mut self) -> Head {
        let head = self.take_through(b"\r\n\r\n").await;
        let head = String::from_utf8(head).expect("an ASCII head");
        let mut lines = head.trim_end().split("\r\n");
        let mut status = lines.next().unwrap_or_default().split(' ');
        let version = status.next().unwrap_or_default().to_owned();
        let status = status.next().and_then(|code| code.parse().ok());
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header line");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Head {
            status: status.expect("a status"),
            version,
            headers: headers.collect(),
        }
    }

    /// Reads the next chunk of a chunked body; returns `None` at the end of the body.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.take_through(b"\r\n").await;
        let size = std::str::from_utf8(&size).expect("a chunk size").trim_end();
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        let data = self.take_exactly(size).await;
        assert_eq!(self.take_exactly(2).await, b"\r\n");
        (size > 0).then_some(data)
    }

    /// Reads the events of the next chunk; returns `None` at the end of the stream.
    pub(crate) async fn events(&mut self) -> Option<Vec<Value>> {
        let chunk = String::from_utf8(self.chunk().await?).expect("UTF-8");
        let events = chunk.split_terminator("\n\n");
        Some(events.filter_map(event_data).collect())
    }

    /// Reads the next response, which must not be that to a HEAD request.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let mut body = Vec::new();
        if let Some(length) = head.header("content-length") {
            let length = length.parse().expect("a length");
            body = self.take_exactly(length).await;
        } else if head.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        } else if head.status >= 200 && head.status != 204 {
            body = self.rest().await;
        }
        Answer {
            status: head.status,
            head,
            body,
        }
    }

    /// Asserts that the server closes the connection without sending another byte.
    pub(crate) async fn assert_closed(&mut self) {
        let rest = self.rest().await;
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}
