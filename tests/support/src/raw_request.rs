//! Sends one request over its own connection, written and read as bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait::with_timeout;

/// The answer to a raw request.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body as it was received.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// Returns the body as JSON; null if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends one request to `address` and reads the answer to its end.
///
/// # Panics
///
/// If there is no answer.
pub async fn raw_request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> RawAnswer {
    let (host, length) = (address.to_string(), body.len().to_string());
    let mut all = headers.to_vec();
    if !headers.iter().any(|(name, _)| *name == "host") {
        all.push(("host", &host));
    }
    all.extend([("content-length", length.as_str()), ("connection", "close")]);
    let lines = all
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let lines: String = lines.collect();
    let head = format!("{method} {path} HTTP/1.1\r\n{lines}\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        // The server may refuse the request before it has read the body.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = with_timeout(&format!("the answer to {method} {path}"), exchange)
        .await
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    let end = answer
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("{method} {path} has no head"));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    RawAnswer {
        status: status.unwrap_or_else(|| panic!("{method} {path} has no status: {head}")),
        head,
        body: answer[end + 4..].to_vec(),
    }
}
