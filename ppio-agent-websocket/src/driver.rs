//! Owns the connection: sends and receives, answers pings, enforces the timeouts, and closes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream as _;
use futures_sink::Sink as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role as RawRole, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as RawError, Message};

use crate::close_code;
use crate::close_frame::CloseFrame;
use crate::end::SocketEnd;
use crate::error::WebSocketError;
use crate::limits::SocketLimits;
use crate::message::WebSocketMessage;
use crate::metered_stream::MeteredStream;
use crate::outgoing::OutgoingMessage;
use crate::queues::Queues;
use crate::socket::WebSocket;

/// How many bytes of frames are collected before they are written.
const BATCH_SIZE: usize = 32 * 1024;
/// The size of the buffer for reading, in bytes.
const READ_SIZE: usize = 8 * 1024;
/// The largest frame that is sent, in bytes: AgentCore does not forward larger frames.
const SENT_FRAME_SIZE: usize = 64 * 1024;
/// The maximum size of a frame's header, in bytes.
const MAX_HEADER_SIZE: usize = 14;
/// The size of the part of the write buffer that is for pongs, in bytes.
const PONG_SIZE: usize = 4 * 1024;
/// How long the peer may take to answer a close frame, or to close the connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Which side of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This side accepted the handshake.
    Server,
    /// This side sent the handshake.
    Client,
}

/// Creates a WebSocket from a connection after the handshake.
///
/// The WebSocket of a client is closed with the code 1000 when the last handle is dropped. A server
/// calls [`SocketDriver::close`] with a code that depends on how the agent's function ended.
pub async fn open<S>(stream: S, role: Role, limits: SocketLimits) -> (WebSocket, SocketDriver<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let raw_role = match role {
        Role::Server => RawRole::Server,
        Role::Client => RawRole::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_SIZE)
        .write_buffer_size(BATCH_SIZE)
        .max_write_buffer_size(BATCH_SIZE + SENT_FRAME_SIZE + MAX_HEADER_SIZE + PONG_SIZE)
        .max_frame_size(Some(limits.max_frame_size))
        .max_message_size(Some(limits.max_message_size));
    let stream = MeteredStream::new(stream);
    let socket = WebSocketStream::from_raw_socket(stream, raw_role, Some(config)).await;
    let queues = Arc::new(Queues::default());
    let now = Instant::now();
    let driver = SocketDriver {
        socket,
        queues: Arc::clone(&queues),
        limits,
        phase: DriverPhase::Open,
        outgoing: None,
        batch: 0,
        is_flushing: false,
        last_message: now,
        last_traffic: now,
        blocked: None,
        timer: Box::pin(tokio::time::sleep(CLOSE_TIMEOUT)),
        sent: 0,
    };
    (WebSocket::new(queues, role == Role::Client), driver)
}

/// The future of a connection. The future is ready once the connection has ended; dropping it
/// closes the socket.
#[derive(Debug)]
pub struct SocketDriver<S> {
    socket: WebSocketStream<MeteredStream<S>>,
    queues: Arc<Queues>,
    limits: SocketLimits,
    phase: DriverPhase,
    /// The message that is being sent; some of its frames may have been sent already.
    outgoing: Option<OutgoingMessage>,
    /// How many bytes of frames were added since the last flush.
    batch: usize,
    is_flushing: bool,
    /// When the last message was sent or received.
    last_message: Instant,
    /// When the last frame was sent or received.
    last_traffic: Instant,
    /// When the peer stopped reading, and how many bytes had been written by then.
    blocked: Option<(Instant, u64)>,
    timer: Pin<Box<Sleep>>,
    /// How many messages were sent.
    sent: u64,
}

#[derive(Debug)]
enum DriverPhase {
    Open,
    /// The end is known. This side's close frame is sent, and the peer's close frame or the end of
    /// the connection is awaited.
    Closing {
        end: SocketEnd,
        until: Instant,
    },
    /// What the peer sends can no longer be read as frames. The close frame is sent, then this side
    /// is closed, and what arrives is discarded: closing a socket with unread bytes sends a reset,
    /// which can destroy the close frame on its way.
    Lingering {
        end: SocketEnd,
        until: Instant,
        is_shut_down: bool,
    },
    Ended,
}

impl<S: AsyncRead + AsyncWrite + Unpin> SocketDriver<S> {
    /// Closes the connection after the queued messages, unless it is being closed already.
    pub fn close(&self, code: u16, reason: &str) {
        self.queues.close(CloseFrame::of(code, reason));
    }

    /// Returns how many messages were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    fn end(&mut self, end: SocketEnd) -> Poll<SocketEnd> {
        self.phase = DriverPhase::Ended;
        self.queues.set_end(end.clone());
        Poll::Ready(end)
    }

    fn broken(&mut self, error: RawError) -> Poll<SocketEnd> {
        let error = match WebSocketError::of(error) {
            WebSocketError::Closed => {
                WebSocketError::disconnected(io::ErrorKind::UnexpectedEof.into())
            }
            error => error,
        };
        self.disconnected(error)
    }

    fn disconnected(&mut self, error: WebSocketError) -> Poll<SocketEnd> {
        // After a close frame of either side, a broken connection counts as the peer closing its
        // side.
        match std::mem::replace(&mut self.phase, DriverPhase::Ended) {
            DriverPhase::Closing { end, .. } | DriverPhase::Lingering { end, .. } => self.end(end),
            DriverPhase::Open | DriverPhase::Ended => {
                self.queues.incoming_is_over(Some(error.clone()));
                self.end(SocketEnd::Broken(error))
            }
        }
    }

    /// Writes the queued messages, then the close frame of this side.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), RawError> {
        loop {
            if self.is_flushing {
                match Pin::new(&mut self.socket).poll_flush(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => {
                        self.record_blocked();
                        return Ok(());
                    }
                }
                self.blocked = None;
                self.is_flushing = false;
                self.batch = 0;
            }
            if !matches!(self.phase, DriverPhase::Open) {
                return Ok(());
            }
            let message = match self.outgoing.take() {
                Some(message) => Some(message),
                None => self.queues.next_outgoing().map(OutgoingMessage::new),
            };
            if let Some(mut message) = message {
                let (frame, size, is_last) =
                    message.next_frame(self.limits.max_frame_size.min(SENT_FRAME_SIZE));
                if is_last {
                    self.sent += 1;
                } else {
                    self.outgoing = Some(message);
                }
                self.last_message = Instant::now();
                self.last_traffic = self.last_message;
                self.batch += size + MAX_HEADER_SIZE;
                self.start_send(frame)?;
                if self.batch >= BATCH_SIZE {
                    self.is_flushing = true;
                }
                continue;
            }
            if let Some(frame) = self.queues.close_frame() {
                self.begin_closing(frame)?;
                continue;
            }
            if self.batch == 0 {
                return Ok(());
            }
            self.is_flushing = true;
        }
    }

    fn start_send(&mut self, frame: Message) -> Result<(), RawError> {
        Pin::new(&mut self.socket).start_send(frame)
    }

    fn record_blocked(&mut self) {
        let written = self.socket.get_ref().written;
        if self.blocked.is_none_or(|(_, before)| before != written) {
            self.blocked = Some((Instant::now(), written));
        }
    }

    /// Sends the close frame of this side.
    fn begin_closing(&mut self, frame: CloseFrame) -> Result<(), RawError> {
        self.start_send(Message::Close(Some(frame.to_raw())))?;
        self.is_flushing = true;
        self.phase = DriverPhase::Closing {
            end: SocketEnd::Closed(frame),
            until: Instant::now() + CLOSE_TIMEOUT,
        };
        Ok(())
    }

    /// Reads frames while there is room in the queue. Is ready at the end of the connection.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<SocketEnd> {
        while matches!(self.phase, DriverPhase::Open | DriverPhase::Closing { .. })
            && self.queues.has_room()
        {
            let next = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            };
            match next {
                Some(Ok(message)) => self.received(message),
                Some(Err(error)) => match WebSocketError::of(error) {
                    error if error.close_frame().is_some() => self.refuse(error),
                    error => return self.disconnected(error),
                },
                // Both sides have closed.
                None => return self.broken(RawError::ConnectionClosed),
            }
        }
        Poll::Pending
    }

    fn received(&mut self, message: Message) {
        self.last_traffic = Instant::now();
        let message = match message {
            Message::Text(text) => WebSocketMessage::Text(text.as_str().to_owned()),
            Message::Binary(bytes) => WebSocketMessage::Binary(bytes),
            Message::Close(frame) => {
                // This may also be the answer to this side's close frame. The peer sends nothing
                // after it.
                let frame = frame.as_ref().map(CloseFrame::received);
                self.is_flushing = true;
                if matches!(self.phase, DriverPhase::Open) {
                    self.queues.closed_by_peer(frame.clone());
                    self.phase = DriverPhase::Closing {
                        end: SocketEnd::ClosedByPeer(frame),
                        until: Instant::now() + CLOSE_TIMEOUT,
                    };
                }
                return;
            }
            Message::Ping(_) => {
                // Flushing sends the pong.
                self.is_flushing = true;
                return;
            }
            Message::Pong(_) | Message::Frame(_) => return,
        };
        self.last_message = self.last_traffic;
        self.queues.received(message);
    }

    /// Closes the connection with the code for the peer's error, and stops reading the peer's
    /// frames.
    fn refuse(&mut self, error: WebSocketError) {
        self.queues.incoming_is_over(Some(error.clone()));
        self.outgoing = None;
        // Fails if this side has closed already.
        if let Some(frame) = error.close_frame()
            && self
                .start_send(Message::Close(Some(frame.to_raw())))
                .is_ok()
        {
            self.is_flushing = true;
        }
        let end = match std::mem::replace(&mut self.phase, DriverPhase::Ended) {
            DriverPhase::Closing { end, .. } => end,
            _ => SocketEnd::Refused(error),
        };
        self.phase = DriverPhase::Lingering {
            end,
            until: Instant::now() + CLOSE_TIMEOUT,
            is_shut_down: false,
        };
    }

    /// Closes this side, and discards what arrives.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let DriverPhase::Lingering { is_shut_down, .. } = &mut self.phase else {
            return Poll::Pending;
        };
        if self.is_flushing {
            return Poll::Pending;
        }
        let stream = self.socket.get_mut();
        if !*is_shut_down {
            match Pin::new(&mut *stream).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => *is_shut_down = true,
                other => return other,
            }
        }
        let mut bytes = [0; 1024];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                other => return other,
            }
        }
    }

    /// Waits for the next deadline. Is ready with the end of the connection, or `None` if there is
    /// something to write.
    fn watch_time(&mut self, cx: &mut Context<'_>) -> Poll<Option<SocketEnd>> {
        loop {
            let now = Instant::now();
            let mut next: Option<Instant> = None;
            let mut passed = |deadline: Instant| {
                let is_over = deadline <= now;
                if !is_over {
                    next = Some(next.map_or(deadline, |next| next.min(deadline)));
                }
                is_over
            };
            match &self.phase {
                DriverPhase::Closing { end, until } | DriverPhase::Lingering { end, until, .. } => {
                    if passed(*until) {
                        let end = end.clone();
                        return self.end(end).map(Some);
                    }
                }
                DriverPhase::Open => {
                    if let Some(timeout) = self.limits.idle_timeout
                        && passed(self.last_message + timeout)
                        && self.queues.close_frame().is_none()
                    {
                        self.close(close_code::GOING_AWAY, "idle");
                        return Poll::Ready(None);
                    }
                    if let Some((since, _)) = self.blocked {
                        if passed(since + self.limits.write_timeout) {
                            let error = io::ErrorKind::TimedOut.into();
                            let error = WebSocketError::disconnected(error);
                            return self.disconnected(error).map(Some);
                        }
                    } else if let Some(interval) = self.limits.heartbeat
                        && passed(self.last_traffic + interval)
                    {
                        self.last_traffic = now;
                        if let Err(error) = self.start_send(Message::Ping(Bytes::new())) {
                            return self.broken(error).map(Some);
                        }
                        self.is_flushing = true;
                        return Poll::Ready(None);
                    }
                }
                DriverPhase::Ended => {}
            }
            let Some(next) = next else {
                return Poll::Pending;
            };
            // A timer that ends too early is set again when it ends.
            if self.timer.is_elapsed() || self.timer.deadline() > next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for SocketDriver<S> {
    type Output = SocketEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SocketEnd> {
        let this = self.get_mut();
        // The waker is set before the queues are read, so that no change is missed.
        this.queues.set_driver(cx);
        loop {
            if let Err(error) = this.write(cx) {
                return this.broken(error);
            }
            let was_flushing = this.is_flushing;
            if let Poll::Ready(end) = this.read(cx) {
                return Poll::Ready(end);
            }
            // What was read may need an answer: a ping, a close frame, an error of the peer.
            if this.is_flushing && !was_flushing {
                continue;
            }
            if this.linger(cx).is_ready() {
                return this.broken(RawError::ConnectionClosed);
            }
            match this.watch_time(cx) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
