//! Sends one HTTP request to a running agent over a new connection.

use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::AgentProcess;
use crate::wait::with_timeout;

/// An answer whose body has not been read to its end. Dropping the answer closes the connection, as
/// a client that disconnects does.
pub struct Answer {
    head: http::response::Parts,
    body: Incoming,
}

/// Invokes the agent.
///
/// # Panics
///
/// If the agent does not answer.
pub async fn invoke(agent: &AgentProcess, request: &Value) -> Answer {
    invoke_with(agent, &[], request).await
}

/// Invokes the agent with additional headers.
///
/// # Panics
///
/// If the agent does not answer.
pub async fn invoke_with(
    agent: &AgentProcess,
    headers: &[(&str, &str)],
    request: &Value,
) -> Answer {
    let mut headers = headers.to_vec();
    headers.push(("content-type", "application/json"));
    let body = request.to_string();
    send(agent, "POST", "/invocations", &headers, body).await
}

/// Begins an invocation without reading its answer. Dropping the socket disconnects the caller.
///
/// # Panics
///
/// If the agent does not accept the connection.
pub async fn begin(agent: &AgentProcess, request: &Value) -> TcpStream {
    let body = request.to_string();
    let head = format!(
        "POST /invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let begun = async {
        let mut socket = TcpStream::connect(agent.addr()).await?;
        socket.write_all((head + &body).as_bytes()).await?;
        std::io::Result::Ok(socket)
    };
    let socket = with_timeout("a connection", begun).await;
    socket.expect("the agent reads")
}

/// Sends a `GET` request for a path.
///
/// # Panics
///
/// If the agent does not answer.
pub async fn get(agent: &AgentProcess, path: &str) -> Answer {
    send(agent, "GET", path, &[], String::new()).await
}

/// Sends any request.
///
/// # Panics
///
/// If the agent does not answer.
pub async fn send(
    agent: &AgentProcess,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    send_to(agent.addr(), method, path, headers, body).await
}

/// Sends any request to an address, such as that of a proxy of an agent.
///
/// # Panics
///
/// If there is no answer.
pub async fn send_to(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body)));
    let request = request.expect("a request that can be sent");
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // The task ends when the answer has been read or dropped.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        Ok::<_, Box<dyn std::error::Error>>(answer)
    };
    let answer = with_timeout("an answer", exchange).await;
    let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let (head, body) = answer.into_parts();
    Answer { head, body }
}

impl Answer {
    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Returns the headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Returns the whole body.
    ///
    /// # Panics
    ///
    /// If the body is incomplete or not UTF-8.
    pub async fn text(self) -> String {
        let body = with_timeout("the whole body", self.body.collect()).await;
        let body = body.unwrap_or_else(|error| panic!("the answer broke off: {error}"));
        String::from_utf8(body.to_bytes().into()).expect("an answer in UTF-8")
    }

    /// Returns the next text of the body; `None` at its end.
    ///
    /// # Panics
    ///
    /// If the body breaks off or is not UTF-8.
    pub async fn next_text(&mut self) -> Option<String> {
        let frame = with_timeout("more of the body", self.body.frame()).await?;
        let frame = frame.unwrap_or_else(|error| panic!("the answer broke off: {error}"));
        let data = frame.into_data().unwrap_or_default();
        Some(String::from_utf8(data.into()).expect("an answer in UTF-8"))
    }

    /// Returns the whole body as JSON.
    ///
    /// # Panics
    ///
    /// If the content type or the body is not JSON.
    pub async fn json(self) -> Value {
        let media_type = &self.head.headers["content-type"];
        let expected = ["application/json", "application/a2a+json"];
        assert!(
            expected.iter().any(|expected| media_type == expected),
            "{media_type:?}"
        );
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Returns the `result` of a successful answer.
    ///
    /// # Panics
    ///
    /// If the answer is not a success.
    pub async fn result(self) -> Value {
        let status = self.status();
        let mut body = self.json().await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["status"], "success", "{body}");
        assert_eq!(body["error"], Value::Null, "{body}");
        body["result"].take()
    }

    /// Returns the text of an error with this status and type.
    ///
    /// # Panics
    ///
    /// If the answer is anything else.
    pub async fn error(self, status: u16, error_type: &str) -> String {
        let id = self.head.headers["x-request-id"].clone();
        let actual = self.status();
        let body = self.json().await;
        assert_eq!(actual, status, "{body}");
        assert_eq!(body["result"], Value::Null, "{body}");
        assert_eq!(body["status"], "error", "{body}");
        assert_eq!(body["error_type"], error_type, "{body}");
        assert_eq!(
            body["metadata"]["request_id"],
            id.as_bytes().escape_ascii().to_string()
        );
        body["error"].as_str().expect("an error text").to_owned()
    }

    /// Returns the next items that arrive together; `None` at the end of the stream.
    ///
    /// # Panics
    ///
    /// If the answer is not a stream, or breaks off.
    pub async fn next_items(&mut self) -> Option<Vec<Value>> {
        let content_type = &self.head.headers["content-type"];
        assert_eq!(content_type, "text/event-stream; charset=utf-8");
        let mut data = Vec::new();
        // A frame holds what one read returned, which may end within an event.
        while !data.ends_with(b"\n\n") {
            let Some(frame) = with_timeout("the next items", self.body.frame()).await else {
                assert!(data.is_empty(), "the stream ends within an event");
                return None;
            };
            let frame = frame.unwrap_or_else(|error| panic!("the stream broke off: {error}"));
            data.extend_from_slice(&frame.into_data().expect("no trailers"));
        }
        let text = std::str::from_utf8(&data).expect("items in UTF-8");
        // Unlike the standard, some clients end lines at these characters.
        let breaks = ['\r', '\u{85}', '\u{2028}', '\u{2029}'];
        assert!(!text.contains(breaks), "a line break in {text:?}");
        let events = text.split_terminator("\n\n");
        let items = events.filter(|event| !event.starts_with(':')).map(|event| {
            let data = event.strip_prefix("data: ").expect("a data line");
            serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
        });
        Some(items.collect())
    }

    /// Returns all items, in order.
    ///
    /// # Panics
    ///
    /// If the answer is not a stream, or breaks off.
    pub async fn items(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(items) = self.next_items().await {
            all.extend(items);
        }
        all
    }
}
