//! The byte stream of a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::head_scan::HeadScan;
use crate::linger::Linger;
use crate::progress::Progress;

/// How many bytes are read before hyper wants them: enough to notice the end of a stream.
const EARLY_SIZE: usize = 64;

/// A stream that records what passes through it, and lingers when hyper closes it while the client
/// may still be sending.
#[derive(Debug)]
pub(crate) struct ConnectionStream<S> {
    stream: S,
    progress: Arc<Progress>,
    scan: HeadScan,
    /// The request after which `scan` began.
    scanned: u16,
    is_blocked: bool,
    /// What was read before hyper wanted it.
    early: Vec<u8>,
    linger: Option<Box<Linger>>,
}

impl<S> ConnectionStream<S> {
    pub(crate) fn new(stream: S, progress: Arc<Progress>) -> Self {
        Self {
            stream,
            progress,
            scan: HeadScan::default(),
            scanned: 0,
            is_blocked: false,
            early: Vec::new(),
            linger: None,
        }
    }

    /// Takes back what hyper read of the next request.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        // hyper skips empty lines before a head. They do not begin one.
        let begin = bytes.iter().position(|byte| !b"\r\n".contains(byte));
        let next = begin.map_or(&[][..], |begin| &bytes[begin..]);
        self.early.splice(..0, next.iter().copied());
    }

    fn record_read(&mut self, bytes: &[u8]) {
        // While nothing of a body is unread, bytes belong to the next head.
        if bytes.is_empty() || self.progress.unread() > 0 {
            return;
        }
        let number = self.progress.request_number();
        if self.scanned != number {
            self.scanned = number;
            self.scan.reset();
        }
        let is_ambiguous = self.scan.scan(bytes);
        self.progress.head_read(is_ambiguous);
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
            // hyper reads the end or the error again.
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
                self.early = buffer.filled().to_vec();
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
        if self.early.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        } else {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..length]);
            if length == self.early.len() {
                self.early = Vec::new();
            } else {
                self.early.drain(..length);
            }
            // The rest of the head, usually; an error or the end is returned again next time.
            if buffer.remaining() > 0 {
                let _ = Pin::new(&mut self.stream).poll_read(cx, buffer)?;
            }
        }
        self.record_read(&buffer.filled()[before..]);
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
        // hyper flushes whenever it is polled.
        if self.progress.is_answering() && self.early.is_empty() && self.read_early(cx)? {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.progress.close();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.progress.has_unread_bytes() {
                return Poll::Ready(Ok(()));
            }
        }
        let linger = this
            .linger
            .get_or_insert_with(|| Box::new(Linger::new(&this.progress)));
        linger.poll(&mut this.stream, &this.progress, cx)
    }
}
