//! The handles of user code.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::close_code;
use crate::close_frame::CloseFrame;
use crate::error::WebSocketError;
use crate::message::WebSocketMessage;
use crate::queues::Queues;

/// An open WebSocket, which sends and receives messages.
///
/// Pings are answered, large messages are divided into frames, and the end of the connection is
/// detected without any call. Both directions are bounded: sending waits for a peer that reads
/// slowly, and a peer that sends more than is received has to wait. While 64 KiB or 64 received
/// messages are queued, nothing is read, neither pings nor the close frame of the peer.
///
/// The type also implements `Stream`.
pub struct WebSocket {
    handles: WebSocketSender,
}

impl WebSocket {
    pub(crate) fn new(queues: Arc<Queues>, closes_on_drop: bool) -> Self {
        Self {
            handles: WebSocketSender {
                handle: Arc::new(Handle {
                    queues,
                    closes_on_drop,
                }),
            },
        }
    }

    /// Receives the next message; `None` once the connection is closed.
    ///
    /// Cancel safe: no message is lost if the future is dropped, for example in `select!`.
    ///
    /// # Errors
    /// If the connection broke, or the peer exceeded a limit or violated the protocol. `None`
    /// follows an error.
    pub async fn recv(&mut self) -> Option<Result<WebSocketMessage, WebSocketError>> {
        poll_fn(|cx| self.queues().poll_receive(cx)).await
    }

    /// Sends a message. Returns once the message is queued; waits while 64 KiB or 64 messages are
    /// queued already because the peer reads slowly.
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send(&self, message: impl Into<WebSocketMessage>) -> Result<(), WebSocketError> {
        self.handles.send(message).await
    }

    /// Closes the connection after the queued messages, and waits until the peer has closed the
    /// connection as well, for at most 5 seconds after the close frame was sent.
    ///
    /// In an agent, the connection is also closed when the agent's function returns. In a client,
    /// the connection is also closed when all handles are dropped, with the code 1000 and without
    /// waiting.
    ///
    /// # Errors
    /// If the code cannot be sent, or the reason has more than 123 bytes.
    pub async fn close(&mut self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        let frame = CloseFrame::checked(code, reason)
            .map_err(|problem| WebSocketError::InvalidClose { problem })?;
        self.queues().close(frame);
        poll_fn(|cx| self.queues().poll_end(cx)).await;
        Ok(())
    }

    /// Returns the close frame of the peer; `None` if the peer has not closed the connection or
    /// sent no code.
    pub fn close_frame(&self) -> Option<CloseFrame> {
        self.queues().peer_close()
    }

    /// Returns a handle with which another task can send.
    pub fn sender(&self) -> WebSocketSender {
        self.handles.clone()
    }

    fn queues(&self) -> &Queues {
        &self.handles.handle.queues
    }
}

impl Stream for WebSocket {
    type Item = Result<WebSocketMessage, WebSocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.queues().poll_receive(cx)
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.queues().stop_receiving();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

/// Sends messages of a [`WebSocket`] from another task. Cheap to clone.
#[derive(Clone)]
pub struct WebSocketSender {
    handle: Arc<Handle>,
}

impl WebSocketSender {
    /// Sends a message; see [`WebSocket::send`].
    ///
    /// # Errors
    /// If the connection is closed.
    pub async fn send(&self, message: impl Into<WebSocketMessage>) -> Result<(), WebSocketError> {
        let mut message = Some(message.into());
        poll_fn(|cx| self.handle.queues.poll_send(&mut message, cx)).await
    }
}

impl fmt::Debug for WebSocketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketSender").finish_non_exhaustive()
    }
}

/// The state that the handles of a connection share.
struct Handle {
    queues: Arc<Queues>,
    closes_on_drop: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.closes_on_drop {
            self.queues.close(CloseFrame::of(close_code::NORMAL, ""));
        }
    }
}
