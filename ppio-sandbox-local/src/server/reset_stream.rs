//! Responses that are cut short reset their connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whether a response was cut short. Clones belong to one TCP connection, which may be below TLS or
/// a tunnel.
#[derive(Debug, Clone, Default)]
pub(super) struct CutShort(Arc<AtomicBool>);

impl CutShort {
    /// Returns a body that records its error.
    pub(super) fn watch(&self, body: Body) -> Body {
        let this = self.clone();
        Body::new(body.map_err(move |error| {
            this.0.store(true, Ordering::Relaxed);
            error
        }))
    }
}

/// A TCP connection that is reset after a response that was cut short. Clients recognize a broken
/// connection by the reset; after an orderly end they report a protocol error.
#[derive(Debug)]
pub(super) struct ResetStream {
    stream: TcpStream,
    cut_short: CutShort,
}

impl ResetStream {
    pub(super) fn new(stream: TcpStream, cut_short: CutShort) -> Self {
        Self { stream, cut_short }
    }
}

impl Drop for ResetStream {
    fn drop(&mut self) {
        if self.cut_short.0.load(Ordering::Relaxed) {
            // If this fails, the connection is closed without a reset.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for ResetStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ResetStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
