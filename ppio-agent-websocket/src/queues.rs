//! The messages between user code and the driver of a connection.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::close_frame::CloseFrame;
use crate::end::SocketEnd;
use crate::error::WebSocketError;
use crate::message::WebSocketMessage;

/// How many bytes of messages are queued in each direction, in addition to one message.
const MAX_QUEUED: usize = 64 * 1024;
/// How many messages are queued in each direction.
const MAX_MESSAGES: usize = 64;

/// Queued messages, bounded by their number and size.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<WebSocketMessage>,
    size: usize,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.size < MAX_QUEUED && self.messages.len() < MAX_MESSAGES
    }

    fn push(&mut self, message: WebSocketMessage) {
        self.size += message.size();
        self.messages.push_back(message);
    }

    fn pop(&mut self) -> Option<WebSocketMessage> {
        let message = self.messages.pop_front()?;
        self.size -= message.size();
        Some(message)
    }
}

/// The queues of one connection, shared by its handles and its driver.
#[derive(Debug, Default)]
pub(crate) struct Queues(Mutex<QueueState>);

#[derive(Debug, Default)]
struct QueueState {
    incoming: Queue,
    outgoing: Queue,
    /// The error that ended the connection, until user code receives it.
    failure: Option<WebSocketError>,
    /// The close frame with which this side closes the connection.
    close: Option<CloseFrame>,
    /// Whether no handle receives messages any more.
    is_unread: bool,
    /// The close frame of the peer.
    peer_close: Option<CloseFrame>,
    /// Set once the connection has ended.
    end: Option<SocketEnd>,
    /// Whether no further message arrives: a side has closed, or the connection broke.
    is_incoming_over: bool,
    receiver: Option<Waker>,
    /// Senders that wait for room, and those that wait for the end.
    waiting: Vec<Waker>,
    driver: Option<Waker>,
}

impl QueueState {
    fn can_send(&self) -> bool {
        self.close.is_none() && self.end.is_none() && !self.is_incoming_over
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|it| it.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Queues {
    /// Receives a message: `None` after the last one.
    pub(crate) fn poll_receive(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<WebSocketMessage, WebSocketError>>> {
        let mut state = self.lock();
        if let Some(message) = state.incoming.pop() {
            let driver = state.driver.take();
            drop(state);
            wake(driver);
            return Poll::Ready(Some(Ok(message)));
        }
        if let Some(failure) = state.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        if state.is_incoming_over || state.end.is_some() {
            return Poll::Ready(None);
        }
        state.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Queues a message once there is room.
    ///
    /// # Panics
    /// If `message` is `None`, as it is after the message was queued.
    pub(crate) fn poll_send(
        &self,
        message: &mut Option<WebSocketMessage>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), WebSocketError>> {
        let mut state = self.lock();
        if !state.can_send() {
            return Poll::Ready(Err(WebSocketError::Closed));
        }
        if !state.outgoing.has_room() {
            state.wait(cx);
            return Poll::Pending;
        }
        let message = message.take();
        state.outgoing.push(message.expect("a message to send"));
        let driver = state.driver.take();
        drop(state);
        wake(driver);
        Poll::Ready(Ok(()))
    }

    /// Waits for the end of the connection.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Poll<SocketEnd> {
        let mut state = self.lock();
        if let Some(end) = &state.end {
            return Poll::Ready(end.clone());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Returns the close frame of the peer, if it sent one with a code.
    pub(crate) fn peer_close(&self) -> Option<CloseFrame> {
        self.lock().peer_close.clone()
    }

    /// Closes the connection after the queued messages, unless it is being closed already.
    pub(crate) fn close(&self, frame: CloseFrame) {
        let mut state = self.lock();
        state.close.get_or_insert(frame);
        state.is_incoming_over = true;
        let wakers = [state.driver.take(), state.receiver.take()];
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        wakers.into_iter().for_each(wake);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Discards the received messages: those in the queue and those that follow.
    pub(crate) fn stop_receiving(&self) {
        let mut state = self.lock();
        state.is_unread = true;
        state.incoming = Queue::default();
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }

    // The driver calls the methods below.

    /// Sets the task that is woken by a message to send, by room for a received one, and by a
    /// close.
    pub(crate) fn set_driver(&self, cx: &Context<'_>) {
        let mut state = self.lock();
        if state
            .driver
            .as_ref()
            .is_none_or(|driver| !driver.will_wake(cx.waker()))
        {
            state.driver = Some(cx.waker().clone());
        }
    }

    /// Whether a further message may be received.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.lock();
        state.is_unread || state.is_incoming_over || state.incoming.has_room()
    }

    /// Queues a received message, unless no handle receives it or a side has closed.
    pub(crate) fn received(&self, message: WebSocketMessage) {
        let mut state = self.lock();
        if state.is_unread || state.is_incoming_over {
            return;
        }
        state.incoming.push(message);
        let receiver = state.receiver.take();
        drop(state);
        wake(receiver);
    }

    pub(crate) fn next_outgoing(&self) -> Option<WebSocketMessage> {
        let mut state = self.lock();
        let message = state.outgoing.pop()?;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        Some(message)
    }

    /// Returns the close frame with which this side closes the connection, if it does.
    pub(crate) fn close_frame(&self) -> Option<CloseFrame> {
        self.lock().close.clone()
    }

    /// Records that no further message arrives and none is sent; `failure` is the error that is the
    /// cause, if there is one.
    pub(crate) fn incoming_is_over(&self, failure: Option<WebSocketError>) {
        let mut state = self.lock();
        if !state.is_incoming_over {
            state.failure = failure;
        }
        state.is_incoming_over = true;
        state.outgoing = Queue::default();
        let receiver = state.receiver.take();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        wake(receiver);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Records that the peer has closed the connection.
    pub(crate) fn closed_by_peer(&self, frame: Option<CloseFrame>) {
        self.lock().peer_close = frame;
        self.incoming_is_over(None);
    }

    /// Records that the connection has ended.
    pub(crate) fn set_end(&self, end: SocketEnd) {
        self.lock().end.get_or_insert(end);
        self.incoming_is_over(None);
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Each change is complete, so that a panic leaves no invalid state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
