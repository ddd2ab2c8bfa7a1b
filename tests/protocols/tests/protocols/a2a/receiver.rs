//! A receiver of push notifications.

use std::net::SocketAddr;

use ppio_test_support::with_timeout;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How a receiver answers a notification that it has read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    Status(u16),
    /// Redirects to a path of the same receiver.
    Redirect(&'static str),
    /// Sends nothing, while the connection stays open.
    Hang,
    Close,
}

/// A notification as it was received.
#[derive(Debug)]
pub(super) struct Notification {
    pub(super) path: String,
    head: String,
    pub(super) body: Value,
}

impl Notification {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// Returns the state of the task in a notification of version 1.0.
    pub(super) fn state(&self) -> &str {
        self.body["task"]["status"]["state"].as_str().unwrap()
    }
}

/// A server that listens for notifications. The server sends the answers that are passed to
/// `start`, one for each notification, and then status 200.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    received: mpsc::UnboundedReceiver<Notification>,
}

impl Receiver {
    pub(super) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let answers = answers.to_vec();
        let mut answers = answers.into_iter();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers.next().unwrap_or(Answer::Status(200));
                tokio::spawn(receive(stream, answer, sender.clone()));
            }
        });
        Self { address, received }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// Waits for the next notification.
    pub(super) async fn next(&mut self) -> Notification {
        let next = self.received.recv();
        with_timeout("a notification", next).await.unwrap()
    }

    /// Returns the states of the notifications up to and including `last`.
    pub(super) async fn states_until(&mut self, last: &str) -> Vec<String> {
        let mut states = Vec::new();
        loop {
            let state = self.next().await.state().to_owned();
            states.push(state);
            if states.last().is_some_and(|state| state == last) {
                return states;
            }
        }
    }

    /// Returns the notifications that have arrived but have not been read.
    pub(super) fn unread(&mut self) -> Vec<Notification> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

/// Reads one notification and answers it.
pub(super) async fn receive(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: Answer,
    received: mpsc::UnboundedSender<Notification>,
) {
    let mut bytes = Vec::new();
    let notification = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(notification) = parse(&bytes) {
            break notification;
        }
    };
    let _ = received.send(notification);
    let (status, location) = match answer {
        Answer::Hang => return std::future::pending().await,
        Answer::Close => return,
        Answer::Status(status) => (status, String::new()),
        Answer::Redirect(path) => (307, format!("location: {path}\r\n")),
    };
    let answer = format!("HTTP/1.1 {status} Status\r\n{location}content-length: 0\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    // Waits for the sender to close the connection.
    let _ = stream.read_buf(&mut bytes).await;
}

fn parse(bytes: &[u8]) -> Option<Notification> {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut notification = Notification {
        path: head.split(' ').nth(1).unwrap().to_owned(),
        head: head.to_owned(),
        body: Value::Null,
    };
    assert!(head.starts_with("POST "), "{head}");
    let length: usize = notification.header("content-length")?.parse().unwrap();
    if body.len() < length {
        return None;
    }
    notification.body = serde_json::from_str(body).unwrap();
    Some(notification)
}
