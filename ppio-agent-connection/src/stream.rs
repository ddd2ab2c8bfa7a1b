//! The byte stream of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::linger::Linger;
use crate::message_scan::MessageScan;
use crate::progress::Progress;

/// The maximum number of bytes of one read ahead of hyper, which waits for a request or detects the
/// end of the stream.
const EARLY_SIZE: usize = 64;

/// A stream that records what passes through it, and lingers when hyper closes it while the client
/// may still be sending.
#[derive(Debug)]
pub(crate) struct ConnectionStream<S> {
    stream: S,
    progress: Arc<Progress>,
    scan: MessageScan,
    /// [`Progress::request_number`] when `scan` was last reset.
    scanned_after: u16,
    is_blocked: bool,
    /// Bytes read ahead of hyper: the beginning of a request, or bytes that follow one.
    early: BytesMut,
    /// Whether `early` holds bytes that `read_early` read.
    has_read_ahead: bool,
    linger: Option<Box<Linger>>,
}

impl<S> ConnectionStream<S> {
    pub(crate) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self {
            stream,
            progress,
            scan: MessageScan::default(),
            scanned_after: 0,
            is_blocked: false,
            early: BytesMut::new(),
            has_read_ahead: false,
            linger: None,
        }
    }

    /// If the scanned request has ended, resets the scan for the next request, or disables the scan
    /// if hyper still reads the request. Called before hyper reads.
    fn begin_scan(&mut self) {
        if !self.scan.is_at_end() {
            return;
        }
        let number = self.progress.request_number();
        // With a `Content-Length`, hyper may read the next head before the handler has read the
        // body. With chunks, hyper reads the next head only after the handler has read all of them.
        let is_inside = self.scan.is_chunked() && self.progress.unread() > 0;
        if self.scanned_after == number || is_inside {
            self.scan.disable();
            self.progress.announce(None);
        } else {
            self.scan.reset();
            self.scanned_after = number;
        }
    }

    /// Scans bytes before hyper receives them. Returns how many of them belong to this request.
    fn scan(&mut self, bytes: &[u8]) -> usize {
        let awaited_end = self.scan.awaits_end_of_head();
        let length = self.scan.scan(bytes);
        if self.scan.has_begun() {
            self.progress.head_read();
        }
        if awaited_end && !self.scan.awaits_end_of_head() {
            self.progress.announce(self.scan.length());
        }
        length
    }

    fn record_write<T>(&mut self, written: Poll<T>) -> Poll<T> {
        if written.is_pending() != self.is_blocked {
            self.is_blocked = !self.is_blocked;
            if self.is_blocked {
                self.progress.blocked();
            } else {
                self.progress.unblocked();
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> ConnectionStream<S> {
    /// Waits for the first bytes of a request, or the end of the connection.
    pub(crate) fn poll_first_bytes(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.early.is_empty() {
            return Poll::Ready(());
        }
        match self.read_early(cx) {
            Ok(false) if self.early.is_empty() => Poll::Pending,
            // hyper reads next, and receives the bytes, the end of the stream or the error.
            _ => Poll::Ready(()),
        }
    }

    /// Reads a few bytes. Returns whether the client has closed its side.
    fn read_early(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut bytes = [0; EARLY_SIZE];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Ok(true),
            Poll::Ready(Ok(())) => {
                self.early.extend_from_slice(buffer.filled());
                self.has_read_ahead = true;
                Ok(false)
            }
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(false),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ConnectionStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        self.begin_scan();
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            let length = early.len().min(buffer.remaining());
            let length = self.scan(&early[..length]);
            buffer.put_slice(&early[..length]);
            early.advance(length);
            if early.is_empty() {
                self.has_read_ahead = false;
            } else {
                self.early = early;
            }
        }
        if self.early.is_empty() && buffer.remaining() > 0 && !self.scan.is_at_end() {
            let start = buffer.filled().len();
            let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
            // Returns the bytes first. The next read returns the end, or the error if the error
            // persists.
            if start == before {
                ready!(read)?;
            }
            let end = start + self.scan(&buffer.filled()[start..]);
            if end < buffer.filled().len() {
                self.early.extend_from_slice(&buffer.filled()[end..]);
                buffer.set_filled(end);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ConnectionStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.record_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.record_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        let flushed = self.record_write(flushed);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.progress.flushed();
        }
        // hyper flushes on every poll, so reading here registers the task for a disconnect.
        if self.progress.is_answering() && !self.has_read_ahead && self.read_early(cx)? {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.progress.close();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.progress.has_unread_bytes() && this.early.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this
            .linger
            .get_or_insert_with(|| Box::new(Linger::new(&this.progress)));
        linger.poll(&mut this.stream, &this.progress, cx)
    }
}
