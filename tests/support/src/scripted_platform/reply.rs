//! The bytes that the platform writes in reply to a request.

use std::time::Duration;

use serde_json::Value;

/// A reply: bytes, pauses, and how the connection continues or ends.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub(super) steps: Vec<Step>,
    /// Whether to perform the effect of the route, such as creating the sandbox, before the reply.
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
    /// Returns a JSON answer with a `content-length`.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::body(status, "application/json", &body.to_string())
    }

    /// Returns an error in the form in which the control plane writes errors.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(
            status,
            &serde_json::json!({ "code": status, "message": message }),
        )
    }

    /// Returns an answer with a `content-length`.
    pub fn body(status: u16, content_type: &str, body: &str) -> Self {
        Self::with_headers(status, &[("content-type", content_type)], body)
    }

    /// Returns an answer with a `content-length` and these headers.
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

    /// Returns the headers of an event stream whose body is chunked.
    pub fn events() -> Self {
        Self::chunked("text/event-stream; charset=utf-8")
    }

    /// Returns the headers of a chunked answer.
    pub fn chunked(content_type: &str) -> Self {
        Self::chunked_with(200, content_type)
    }

    /// Returns the headers of a chunked answer with this status.
    pub fn chunked_with(status: u16, content_type: &str) -> Self {
        Self::raw(format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: {content_type}\r\ntransfer-encoding: \
             chunked\r\n\r\n"
        ))
    }

    /// Returns a reply of these bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            steps: vec![Step::Write(bytes.into())],
            with_effect: false,
        }
    }

    /// Returns an empty reply.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds one chunk of a chunked body.
    pub fn chunk(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.steps.push(Step::Write(chunk));
        self
    }

    /// Adds the proper end of a chunked body.
    pub fn end(mut self) -> Self {
        self.steps.push(Step::Write(b"0\r\n\r\n".to_vec()));
        self
    }

    /// Adds these bytes, repeated until the client disconnects.
    pub fn repeat(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Repeat(bytes.into()));
        self
    }

    /// Adds a pause.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.steps.push(Step::Pause(pause));
        self
    }

    /// Adds a pause before everything else.
    pub fn after(mut self, pause: Duration) -> Self {
        self.steps.insert(0, Step::Pause(pause));
        self
    }

    /// Adds a hang: nothing more is written until the client disconnects.
    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    /// Adds the proper end of the connection (FIN).
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }

    /// Adds a break of the connection (RST).
    pub fn reset(mut self) -> Self {
        self.steps.push(Step::Reset);
        self
    }

    /// Makes the platform perform the effect of the route before it sends this reply.
    pub fn with_effect(mut self) -> Self {
        self.with_effect = true;
        self
    }
}
