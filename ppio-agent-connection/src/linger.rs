//! Keeps a half-closed connection until the client has closed its side.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

use crate::progress::Progress;

/// How long a connection is kept for a client that is still sending; the default of nginx's
/// `lingering_time`.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes a client may send to a half-closed connection: more than the 100 MB of
/// AgentCore's largest request.
pub const MAX_LINGERED: u64 = 128 << 20;
/// How long a client may send nothing to a half-closed connection; the default of nginx's
/// `lingering_timeout`.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(5);

const BUFFER_SIZE: usize = 64 * 1024;

/// Discards what a client sends after the end of the last response.
///
/// Closing a socket with unread bytes sends a reset, which makes the client's system discard a
/// response that the client has not read yet.
#[derive(Debug)]
pub(crate) struct Linger {
    buffer: Vec<u8>,
    left: u64,
    end: Instant,
}

impl Linger {
    pub(crate) fn new(progress: &Progress) -> Self {
        let now = Instant::now();
        progress.linger_until(now + SILENCE_TIMEOUT);
        Self {
            buffer: vec![0; BUFFER_SIZE],
            left: MAX_LINGERED,
            end: now + LINGER_TIMEOUT,
        }
    }

    /// Discards what arrives, and is ready once the client has closed its side or sent too much.
    /// The task of the connection enforces the timeouts.
    pub(crate) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        progress: &Progress,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            let length = buffer.filled().len() as u64;
            // After an error no response is left that a reset could destroy.
            if read.is_err() || length == 0 || length > self.left {
                return Poll::Ready(Ok(()));
            }
            self.left -= length;
            progress.linger_until(self.end.min(Instant::now() + SILENCE_TIMEOUT));
        }
    }
}
