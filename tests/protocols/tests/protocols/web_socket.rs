//! The client's side of a WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use ppio_test_support::with_timeout;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// The messages of the agent, other than pings.
#[derive(Debug, PartialEq)]
pub(crate) enum Received {
    Text(String),
    Closed(u16, String),
}

impl Socket {
    /// Opens `/ws`, or returns the status of the refusal.
    pub(crate) async fn try_open(
        agent: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, u16> {
        let mut request = format!("ws://{agent}/ws").into_client_request().unwrap();
        for &(name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(agent).await.unwrap();
        match with_timeout("the handshake", client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn open(agent: SocketAddr, headers: &[(&'static str, &str)]) -> Self {
        Self::try_open(agent, headers).await.ok().unwrap()
    }

    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        let message = Message::binary(bytes.to_vec());
        self.0.send(message).await.unwrap();
    }

    /// Returns the next message, or the end.
    pub(crate) async fn receive(&mut self) -> Received {
        loop {
            let message = with_timeout("a message", self.0.next()).await;
            match message.unwrap().unwrap() {
                Message::Text(text) => return Received::Text(text.as_str().to_owned()),
                Message::Close(frame) => {
                    let frame = frame.expect("a close code");
                    let reason = frame.reason.as_str().to_owned();
                    return Received::Closed(frame.code.into(), reason);
                }
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns all messages up to the end, and the close code and reason.
    pub(crate) async fn rest(&mut self) -> (Vec<String>, u16, String) {
        let mut messages = Vec::new();
        loop {
            match self.receive().await {
                Received::Text(text) => messages.push(text),
                Received::Closed(code, reason) => return (messages, code, reason),
            }
        }
    }

    /// Closes the connection, as a page does when the user leaves it.
    pub(crate) async fn close(mut self) {
        self.0.close(None).await.unwrap();
    }
}
