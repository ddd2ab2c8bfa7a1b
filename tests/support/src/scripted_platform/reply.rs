//! What is written back, byte by byte.

use std::time::Duration;

use serde_json::Value;

/// A reply: bytes, pauses, and how the connection continues or ends.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub(super) steps: Vec<Step>,
    /// Do what the route does (make the sandbox, …) before replying.
    pub(super) with_effect: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(Vec<u8>),
    /// Write these bytes again and again until the client disconnects.
    Repeat(Vec<u8>),
    Pause(Duration),
    /// Write nothing more until the client disconnects.
    Hang,
    /// End the connection properly (FIN).
    Close,
    /// Break the connection (RST).
    Reset,
}

impl Reply {
    /// A JSON answer with its length.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::body(status, "application/json", &body.to_string())
    }

    /// An error as the control plane writes them.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            &serde_json::json!({ "code": status, "message": message }),
        )
    }

    /// An answer with its length.
    pub fn body(status: u16, content_type: &str, body: &str) -> Self {
        Self::with_headers(status, &[("content-type", content_type)], body)
    }

    /// An answer with its length and these headers.
    pub fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        Self::raw(format!("{head}\r\n{body}"))
    }

    /// The head of an event stream whose body is chunked.
    pub fn events() -> Self {
        Self::chunked("text/event-stream; charset=utf-8")
    }

    /// The head of a chunked answer.
    pub fn chunked(content_type: &str) -> Self {
        Self::chunked_with(200, content_type)
    }

    /// The head of a chunked answer with this status.
    pub fn chunked_with(status: u16, content_type: &str) -> Self {
        Self::raw(format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        ))
    }

    /// These bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            steps: vec![Step::Write(bytes.into())],
            with_effect: false,
        }
    }

    /// Nothing at all.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One chunk of a chunked body.
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.steps.push(Step::Write(chunk));
        self
    }

    /// The proper end of a chunked body.
    pub fn end(mut self) -> Self {
        self.steps.push(Step::Write(b"0\r\n\r\n".to_vec()));
        self
    }

    /// These bytes again and again, until the client disconnects.
    pub fn repeat(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Repeat(bytes.into()));
        self
    }

    /// A pause.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.steps.push(Step::Pause(pause));
        self
    }

    /// A pause before everything.
    pub fn after(mut self, pause: Duration) -> Self {
        self.steps.insert(0, Step::Pause(pause));
        self
    }

    /// Nothing more, until the client disconnects.
    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    /// The end of the connection.
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }

    /// The break of the connection.
    pub fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }

    /// Does what the route does, then replies like this.
    pub fn with_effect(mut self) -> Self {
        self.with_effect = true;
        self
    }
}
