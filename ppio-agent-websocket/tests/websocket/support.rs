//! A server's socket and its peer.

use std::time::Duration;

use ppio_agent_websocket::{Role, SocketEnd, SocketLimits, WebSocket, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

/// How long a test waits for anything; with paused time, it passes immediately.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3600 * 24);

pub(crate) const LIMITS: SocketLimits = SocketLimits {
    max_frame_size: 64 * 1024,
    max_message_size: 1 << 20,
    idle_timeout: None,
    heartbeat: None,
    write_timeout: Duration::from_secs(60),
};

/// One side, whose driver is a task.
pub(crate) struct Side {
    pub(crate) socket: WebSocket,
    pub(crate) driver: JoinHandle<SocketEnd>,
}

impl Side {
    pub(crate) async fn new(stream: DuplexStream, role: Role, limits: SocketLimits) -> Self {
        let (socket, driver) = open(stream, role, limits).await;
        Self {
            socket,
            driver: tokio::spawn(driver),
        }
    }

    pub(crate) async fn end(self) -> SocketEnd {
        let Self { socket, driver } = self;
        let end = with_timeout(driver).await.expect("no panic");
        drop(socket);
        end
    }

    pub(crate) async fn text(&mut self) -> String {
        let message = with_timeout(self.socket.recv()).await;
        let message = message.expect("a message").expect("no error");
        message.as_text().expect("text").to_owned()
    }
}

/// Creates a server and a client.
pub(crate) async fn pair(limits: SocketLimits) -> (Side, Side) {
    let (one, other) = tokio::io::duplex(16 * 1024);
    let server = Side::new(one, Role::Server, limits).await;
    let client = Side::new(other, Role::Client, limits).await;
    (server, client)
}

/// Creates a server whose client sends and receives raw bytes.
pub(crate) async fn raw(limits: SocketLimits) -> (Side, RawPeer) {
    let (one, other) = tokio::io::duplex(16 * 1024);
    let server = Side::new(one, Role::Server, limits).await;
    (server, RawPeer(other))
}

pub(crate) struct RawPeer(pub(crate) DuplexStream);

impl RawPeer {
    /// Sends a frame with a mask of zeros.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.head(first, payload.len()).await;
        self.0.write_all(payload).await.expect("a write");
    }

    /// Sends the header of a frame.
    pub(crate) async fn head(&mut self, first: u8, length: usize) {
        let mut head = vec![first];
        match length {
            0..=125 => head.push(0x80 | u8::try_from(length).expect("small")),
            126..=0xffff => {
                head.push(0xfe);
                head.extend(u16::try_from(length).expect("small").to_be_bytes());
            }
            _ => {
                head.push(0xff);
                head.extend((length as u64).to_be_bytes());
            }
        }
        head.extend([0; 4]);
        self.0.write_all(&head).await.expect("a write");
    }

    /// Receives a frame of at most 125 bytes: its first byte and its payload.
    pub(crate) async fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        let read = with_timeout(self.0.read_exact(&mut head)).await;
        read.expect("a frame");
        let mut payload = vec![0; usize::from(head[1])];
        let read = with_timeout(self.0.read_exact(&mut payload)).await;
        read.expect("a payload");
        (head[0], payload)
    }

    /// Receives a close frame, and returns its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        let (first, payload) = self.receive().await;
        assert_eq!(first, 0x88, "{payload:?}");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Waits for the end of the stream.
    pub(crate) async fn end(&mut self) {
        let mut rest = Vec::new();
        let read = with_timeout(self.0.read_to_end(&mut rest)).await;
        read.expect("the end");
    }
}

pub(crate) async fn with_timeout<F: Future>(future: F) -> F::Output {
    let output = tokio::time::timeout(TIMEOUT, future).await;
    output.expect("the test waited for long")
}
