//! The state of a connection, shared by its stream, its bodies and the task that runs it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use hyper::body::Incoming;

/// The number of unread bytes of a body whose length is unknown or larger than this value.
pub(crate) const UNKNOWN: u64 = (1 << 47) - 1;
/// The flag of a body that the client sends only after `100 Continue`.
const AWAITS_CONTINUE: u64 = 1 << 47;
const NUMBER_SHIFT: u32 = 48;
/// The value of `Progress::announced` for a head without a valid length.
const NOT_FOUND: u64 = u64::MAX;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No byte has arrived yet.
    Fresh,
    /// The last response was sent.
    Idle,
    /// A part of a head has arrived.
    Head,
    /// The handler is creating the response.
    Handling,
    /// The response is being sent.
    Responding,
    /// hyper has the whole response, and is writing the rest of it.
    Flushing,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Fresh,
        Self::Idle,
        Self::Head,
        Self::Handling,
        Self::Responding,
        Self::Flushing,
    ];
}

/// The state of a connection.
///
/// One task changes most of the fields. The fields are atomic because request bodies may be read
/// and dropped in other tasks.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: AtomicU8,
    /// The number of the current request, `AWAITS_CONTINUE`, and how much of its body has not been
    /// read. These three values share a word so that a body that is kept for longer than its
    /// request, whose last bytes hyper holds, does not change the state of the next request.
    body: AtomicU64,
    /// The length of the body that was found in the head, which hyper has not parsed yet.
    announced: AtomicU64,
    /// Whether hyper is closing the stream.
    is_closing: AtomicBool,
    /// Whether the rest of the response can be sent without hyper.
    is_chunked: AtomicBool,
    /// Whether the connection is used again after a response in chunks; false for other responses.
    keeps_alive: AtomicBool,
    /// Whether hyper's connection is being dropped while the stream is kept.
    is_releasing: AtomicBool,
    opened: Instant,
    /// When the client stopped reading, in milliseconds after `opened`; 0 while it reads.
    blocked_since: AtomicU64,
    /// Until when the connection lingers, in milliseconds after `opened`; 0 while it does not.
    lingers_until: AtomicU64,
    abandoned: Mutex<Abandoned>,
    /// The response body that was kept when hyper's connection was dropped.
    kept_body: Mutex<Option<Box<dyn Any + Send>>>,
}

fn number_of(body: u64) -> u16 {
    (body >> NUMBER_SHIFT) as u16
}

fn body_word(number: u16, unread: u64) -> u64 {
    u64::from(number) << NUMBER_SHIFT | unread.min(UNKNOWN)
}

/// A request body that was dropped before its end, with the number of its request.
#[derive(Debug, Default)]
struct Abandoned {
    body: Option<(u16, Incoming)>,
    /// The task of the connection, which discards the rest.
    waker: Option<Waker>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Fresh as u8),
            body: AtomicU64::new(0),
            announced: AtomicU64::new(NOT_FOUND),
            is_closing: AtomicBool::new(false),
            is_chunked: AtomicBool::new(false),
            keeps_alive: AtomicBool::new(false),
            is_releasing: AtomicBool::new(false),
            opened: Instant::now(),
            blocked_since: AtomicU64::new(0),
            lingers_until: AtomicU64::new(0),
            abandoned: Mutex::default(),
            kept_body: Mutex::default(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Relaxed))]
    }

    /// Returns the number of the current request, or of the last one.
    pub(crate) fn request_number(&self) -> u16 {
        number_of(self.body.load(Relaxed))
    }

    /// Records that bytes of a head arrived, perhaps of the request after the current one.
    pub(crate) fn head_read(&self) {
        if self.awaits_head() {
            self.set(Phase::Head);
        }
    }

    /// Records that a head has ended, and the length of the body that it announces.
    pub(crate) fn announce(&self, length: Option<u64>) {
        self.announced.store(length.unwrap_or(NOT_FOUND), Relaxed);
    }

    /// Whether there is no current request.
    pub(crate) fn awaits_head(&self) -> bool {
        self.phase() <= Phase::Head
    }

    /// Whether the last response was sent and another request may follow.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase() == Phase::Idle && !self.is_closing.load(Relaxed)
    }

    /// Records that hyper is closing the stream.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Relaxed);
    }

    /// Whether a request was read to its end and its response is being created or sent.
    pub(crate) fn is_answering(&self) -> bool {
        matches!(self.phase(), Phase::Handling | Phase::Responding) && self.unread() == 0
    }

    /// Records that hyper parsed a head with a body of `unread` bytes. Returns whether this is the
    /// length that was found in the head.
    pub(crate) fn request(&self, unread: u64, awaits_continue: bool) -> bool {
        self.set(Phase::Handling);
        let number = self.request_number().wrapping_add(1);
        let flag = if awaits_continue { AWAITS_CONTINUE } else { 0 };
        self.body.store(body_word(number, unread) | flag, Relaxed);
        let announced = self.announced.load(Relaxed);
        self.announce(None);
        announced == unread.min(UNKNOWN)
    }

    /// Records that the handler returned. `is_chunked` is whether hyper sends the body in chunks.
    pub(crate) fn respond(&self, is_chunked: bool, keeps_alive: bool) {
        self.is_chunked.store(is_chunked, Relaxed);
        self.keeps_alive.store(keeps_alive, Relaxed);
        self.set(Phase::Responding);
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        self.keeps_alive.load(Relaxed)
    }

    /// Whether the rest of the response can be sent without hyper, which has nothing left to write
    /// and nothing to read.
    pub(crate) fn is_releasable(&self) -> bool {
        self.phase() == Phase::Responding
            && self.is_chunked.load(Relaxed)
            && self.unread() == 0
            && self.blocked_since.load(Relaxed) == 0
    }

    /// Records that the response body is kept when it is dropped, until
    /// [`take_body`](Self::take_body) is called.
    pub(crate) fn release(&self) {
        self.is_releasing.store(true, Relaxed);
    }

    pub(crate) fn is_releasing(&self) -> bool {
        self.is_releasing.load(Relaxed)
    }

    pub(crate) fn keep_body(&self, body: Box<dyn Any + Send>) {
        *self.kept_body() = Some(body);
    }

    /// Takes the body that was kept.
    pub(crate) fn take_body<B: 'static>(&self) -> Option<Box<B>> {
        self.is_releasing.store(false, Relaxed);
        self.is_chunked.store(false, Relaxed);
        self.kept_body().take()?.downcast().ok()
    }

    fn kept_body(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.kept_body
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the response body ended or was dropped.
    pub(crate) fn response_ended(&self) {
        self.set(Phase::Flushing);
    }

    /// Records that everything that hyper wrote was sent.
    pub(crate) fn flushed(&self) {
        if self.phase() == Phase::Flushing && self.unread() == 0 {
            self.set(Phase::Idle);
        }
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Returns how many bytes of the request body have not been read: [`UNKNOWN`] for chunks, 0
    /// without a body.
    pub(crate) fn unread(&self) -> u64 {
        self.body.load(Relaxed) & UNKNOWN
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.body.load(Relaxed) & AWAITS_CONTINUE != 0
    }

    /// Records that the body of a request was polled, whereupon hyper sends `100 Continue`, and how
    /// much of it is left.
    pub(crate) fn set_unread(&self, number: u16, unread: u64) {
        let mut current = self.body.load(Relaxed);
        while number_of(current) == number {
            let next = body_word(number, unread);
            match self
                .body
                .compare_exchange_weak(current, next, Relaxed, Relaxed)
            {
                Ok(_) => return,
                Err(changed) => current = changed,
            }
        }
    }

    /// Whether a client may still be sending bytes that will not be read: the rest of a body, or
    /// the bytes after an invalid head.
    pub(crate) fn has_unread_bytes(&self) -> bool {
        self.unread() > 0 || self.phase() == Phase::Head
    }

    /// Keeps a request body that was dropped before the end of the body, and wakes the connection.
    pub(crate) fn abandon(&self, number: u16, body: Incoming) {
        let waker = {
            let mut abandoned = self.abandoned();
            abandoned.body = Some((number, body));
            abandoned.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the abandoned body of the current request.
    pub(crate) fn take_abandoned(&self) -> Option<Incoming> {
        let abandoned = self.abandoned().body.take();
        abandoned.and_then(|(number, body)| (number == self.request_number()).then_some(body))
    }

    /// Like [`take_abandoned`](Self::take_abandoned); if there is no body yet, `waker` is woken
    /// when a body is abandoned.
    pub(crate) fn take_abandoned_or_wake(&self, waker: &Waker) -> Option<Incoming> {
        let mut abandoned = self.abandoned();
        let body = abandoned.body.take();
        let body =
            body.and_then(|(number, body)| (number == self.request_number()).then_some(body));
        if body.is_none() {
            abandoned.waker = Some(waker.clone());
        }
        body
    }

    fn abandoned(&self) -> MutexGuard<'_, Abandoned> {
        self.abandoned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the client has stopped reading.
    pub(crate) fn blocked(&self) {
        self.blocked_since
            .store(self.millis(Instant::now()), Relaxed);
    }

    pub(crate) fn unblocked(&self) {
        self.blocked_since.store(0, Relaxed);
    }

    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.instant(self.blocked_since.load(Relaxed))
    }

    pub(crate) fn linger_until(&self, end: Instant) {
        self.lingers_until.store(self.millis(end), Relaxed);
    }

    pub(crate) fn lingers_until(&self) -> Option<Instant> {
        self.instant(self.lingers_until.load(Relaxed))
    }

    fn millis(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.opened);
        u64::try_from(elapsed.as_millis()).map_or(u64::MAX, |millis| millis.max(1))
    }

    fn instant(&self, millis: u64) -> Option<Instant> {
        (millis > 0).then(|| self.opened + Duration::from_millis(millis))
    }
}
