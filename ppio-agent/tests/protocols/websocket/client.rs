//! A client that writes frames byte by byte.

use crate::support::{Connection, TestServer};

/// A handshake request with further header lines, each ending in CRLF.
pub(super) fn handshake(headers: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// A connection after the handshake.
pub(super) struct Client {
    pub(super) connection: Connection,
}

/// A frame with a mask of zeros.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, payload.len());
    frame.extend(payload);
    frame
}

/// The header of a frame with a mask of zeros.
pub(super) fn head(first: u8, length: usize) -> Vec<u8> {
    let mut head = vec![first];
    if let Ok(length) = u8::try_from(length)
        && length < 126
    {
        head.push(0x80 | length);
    } else if let Ok(length) = u16::try_from(length) {
        head.push(0xfe);
        head.extend(length.to_be_bytes());
    } else {
        head.push(0xff);
        head.extend((length as u64).to_be_bytes());
    }
    head.extend([0; 4]);
    head
}

impl Client {
    pub(super) async fn open(server: &TestServer) -> Self {
        Self::over(server.connect().await).await
    }

    pub(super) async fn over(mut connection: Connection) -> Self {
        connection.write(handshake("")).await;
        Self::accepted(connection).await
    }

    /// Reads the response to a handshake that was already sent.
    pub(super) async fn accepted(mut connection: Connection) -> Self {
        let head = connection.head().await;
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(head.header("upgrade"), Some("websocket"));
        assert_eq!(head.header("connection"), Some("upgrade"));
        let accept = head.header("sec-websocket-accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(head.header("x-request-id").is_some());
        Self { connection }
    }

    pub(super) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.connection.write(frame(first, payload)).await;
    }

    /// Reads the next frame, and returns its first byte and its payload.
    pub(super) async fn receive(&mut self) -> (u8, Vec<u8>) {
        let head = self.connection.take_exactly(2).await;
        let length = match head[1] {
            126 => {
                let length = self.connection.take_exactly(2).await;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            127 => {
                let length = self.connection.take_exactly(8).await;
                let length = length.try_into().expect("8 bytes");
                usize::try_from(u64::from_be_bytes(length)).expect("a length")
            }
            length => usize::from(length),
        };
        (head[0], self.connection.take_exactly(length).await)
    }

    pub(super) async fn text(&mut self) -> String {
        let (first, payload) = self.receive().await;
        assert_eq!(first, 0x81, "{payload:?}");
        String::from_utf8(payload).expect("UTF-8")
    }

    /// Reads the close frame of the server, and returns its code and reason.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        let (first, payload) = self.receive().await;
        assert_eq!(first, 0x88, "{}", String::from_utf8_lossy(&payload));
        let code = u16::from_be_bytes([payload[0], payload[1]]);
        let reason = String::from_utf8(payload[2..].to_vec()).expect("UTF-8");
        (code, reason)
    }

    /// Closes the connection, as a client does.
    pub(super) async fn close(&mut self, code: u16) {
        self.send(0x88, &code.to_be_bytes()).await;
        assert_eq!(self.closed().await, (code, String::new()));
        self.connection.assert_closed().await;
    }

    /// Answers the close frame of the server, and waits for the end of the connection.
    pub(super) async fn answer_close(&mut self, code: u16) {
        self.send(0x88, &code.to_be_bytes()).await;
        self.connection.assert_closed().await;
    }
}
