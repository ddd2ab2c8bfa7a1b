//! Finds requests with both a `Content-Length` and a `Transfer-Encoding`.
//!
//! Servers on the way that disagree about which of the two counts can be made to see different
//! requests in the same bytes, so such a request is refused (RFC 9112, section 6.3). hyper removes
//! the length before the service sees the headers; that is why the bytes are followed here. What
//! hyper refuses by itself ends the connection and needs no further attention.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The number of the first request of a connection with two lengths, counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct TwoLengths(Arc<AtomicU64>);

impl TwoLengths {
    pub(crate) fn are_in(&self, request: u64) -> bool {
        // Written before hyper gets the bytes of the request, by the task that reads this.
        request >= self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose incoming requests are followed.
pub(crate) struct Followed<S> {
    stream: S,
    follower: Follower,
}

impl<S> Followed<S> {
    pub(crate) fn new(stream: S) -> (Self, TwoLengths) {
        let found = TwoLengths(Arc::new(AtomicU64::new(u64::MAX)));
        let followed = Self {
            stream,
            follower: Follower::new(found.clone()),
        };
        (followed, found)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(read) = buf.filled().get(before..) {
            self.follower.feed(read);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How much of a line that arrives in parts is kept: the two names, and any number behind them.
const KEPT: usize = 64;

/// Follows the heads and bodies of a connection.
struct Follower {
    expects: Expects,
    /// The beginning of a line whose end has not arrived.
    line: Vec<u8>,
    head: Lengths,
    /// How many heads are complete.
    heads: u64,
    found: TwoLengths,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    RequestLine,
    Header,
    Body(u64),
    ChunkSize,
    /// The data of a chunk with its line break.
    Chunk(u64),
    Trailer,
    /// Not HTTP.
    Nothing,
}

/// What a head says of its body.
#[derive(Default)]
struct Lengths {
    content_length: Option<u64>,
    has_transfer_encoding: bool,
}

impl Follower {
    fn new(found: TwoLengths) -> Self {
        Self {
            expects: Expects::RequestLine,
            line: Vec::new(),
            head: Lengths::default(),
            heads: 0,
            found,
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.expects {
                Expects::Nothing => return,
                Expects::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.expects = match left {
                        0 => Expects::RequestLine,
                        left => Expects::Body(left),
                    };
                }
                Expects::Chunk(left) => {
                    let left = skip(&mut bytes, left);
                    self.expects = match left {
                        0 => Expects::ChunkSize,
                        left => Expects::Chunk(left),
                    };
                }
                _ => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else {
                        self.keep(bytes);
                        return;
                    };
                    let (line, rest) = bytes.split_at(end);
                    if self.line.is_empty() {
                        self.take(line);
                    } else {
                        self.keep(line);
                        let kept = std::mem::take(&mut self.line);
                        self.take(&kept);
                    }
                    bytes = rest.get(1..).unwrap_or_default();
                }
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(&part[..room]);
    }

    /// Takes a line without its line feed.
    fn take(&mut self, line: &[u8]) {
        let is_blank = matches!(line, [] | b"\r");
        match self.expects {
            // Empty lines before a request are ignored, also by hyper.
            Expects::RequestLine if !is_blank => self.expects = Expects::Header,
            Expects::Header if is_blank => self.end_head(),
            Expects::Header => self.header(line),
            Expects::ChunkSize => match chunk_size(line) {
                Some(0) => self.expects = Expects::Trailer,
                Some(size) => self.expects = Expects::Chunk(size.saturating_add(2)),
                None => self.give_up(),
            },
            Expects::Trailer if is_blank => self.expects = Expects::RequestLine,
            _ => {}
        }
    }

    fn header(&mut self, line: &[u8]) {
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = value_of(b"content-length:", line) {
                    match decimal(value) {
                        Some(length) => self.head.content_length = Some(length),
                        None => self.give_up(),
                    }
                }
            }
            Some(b't' | b'T') => {
                self.head.has_transfer_encoding |= value_of(b"transfer-encoding:", line).is_some();
            }
            _ => {}
        }
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        if head.has_transfer_encoding && head.content_length.is_some() {
            return self.give_up();
        }
        self.expects = match head.content_length {
            _ if head.has_transfer_encoding => Expects::ChunkSize,
            None | Some(0) => Expects::RequestLine,
            Some(length) => Expects::Body(length),
        };
        self.heads += 1;
    }

    /// From this request on, a `Transfer-Encoding` is not to be trusted.
    fn give_up(&mut self) {
        self.expects = Expects::Nothing;
        self.found.0.store(self.heads, Ordering::Relaxed);
    }
}

/// Takes up to `count` bytes off the front; returns how many are missing.
fn skip(bytes: &mut &[u8], count: u64) -> u64 {
    let here = usize::try_from(count).map_or(bytes.len(), |count| count.min(bytes.len()));
    *bytes = &bytes[here..];
    count - here as u64
}

fn value_of<'a>(name: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

/// The size of a chunk, from a line that may have extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let digits = std::str::from_utf8(&line[..digits.count()]).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first request with two lengths in a connection that arrives in parts of `size` bytes.
    fn found(connection: &str, size: usize) -> Option<u64> {
        let (mut followed, found) = Followed::new(());
        for part in connection.as_bytes().chunks(size) {
            followed.follower.feed(part);
        }
        (0..10).find(|&request| found.are_in(request))
    }

    const PLAIN: &str = "GET /ping HTTP/1.1\r\nhost: a\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nContent-Length: 12\r\nhost: a\r\n\r\n\
                         transfer-enc";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
                           12;a=b\r\ncontent-length: 1\n\r\n1\r\n\n\r\n0\r\ncontent-length: 9\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\ncontent-length: 5\r\nTRANSFER-ENCODING:chunked\r\n\r\n";
    const BOTH_BARE: &str = "\r\n\nPOST / HTTP/1.1\ntransfer-encoding: chunked\n\
                             x: y\nContent-length:\t5 \n\n";

    #[test]
    fn requests_are_told_apart_wherever_the_bytes_are_cut() {
        let good = [PLAIN, SIZED, CHUNKED, SIZED, CHUNKED, PLAIN].concat();
        for size in 1..=good.len() {
            assert_eq!(found(&good, size), None, "{size}");
            for both in [BOTH, BOTH_BARE] {
                assert_eq!(found(both, size), Some(0), "{size}");
                assert_eq!(found(&(good.clone() + both), size), Some(6), "{size}");
            }
        }
    }

    #[test]
    fn what_cannot_be_followed_is_not_trusted() {
        for bad in [
            "POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 99999999999999999999\r\n\r\n",
        ] {
            assert_eq!(found(bad, 7), Some(0), "{bad}");
        }
        let bad = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
        assert_eq!(found(bad, 7), Some(1));
    }

    #[test]
    fn long_lines_are_not_kept() {
        let (mut followed, _) = Followed::new(());
        for _ in 0..1000 {
            followed
                .follower
                .feed(b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        }
        assert!(followed.follower.line.len() <= KEPT);
    }
}
