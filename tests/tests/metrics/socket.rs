//! A WebSocket that is written and read as bytes.

use ppio_test_support::{AgentProcess, with_timeout};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection after the handshake.
pub(crate) struct Socket(TcpStream);

impl Socket {
    /// Opens a socket, or returns the response of a refused handshake.
    pub(crate) async fn open(agent: &AgentProcess, request_id: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(agent.addr()).await.unwrap();
        let handshake = format!(
            "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             x-request-id: {request_id}\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = with_timeout("the head", stream.read_u8()).await;
            head.push(read.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        if head.starts_with("HTTP/1.1 101 ") {
            Ok(Self(stream))
        } else {
            Err(head)
        }
    }

    /// Sends a frame of up to 125 bytes, with a mask of zeros.
    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![first, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(0x81, text.as_bytes()).await;
    }

    pub(crate) async fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        let read = with_timeout("a frame", self.0.read_exact(&mut head)).await;
        read.unwrap();
        let mut payload = vec![0; usize::from(head[1])];
        self.0.read_exact(&mut payload).await.unwrap();
        (head[0], payload)
    }

    /// Closes the socket and returns the close code of the agent.
    pub(crate) async fn close(&mut self) -> u16 {
        self.send(0x88, &1000_u16.to_be_bytes()).await;
        self.closed().await
    }

    pub(crate) async fn closed(&mut self) -> u16 {
        let (first, payload) = self.receive().await;
        assert_eq!(first, 0x88, "{payload:?}");
        u16::from_be_bytes([payload[0], payload[1]])
    }
}
