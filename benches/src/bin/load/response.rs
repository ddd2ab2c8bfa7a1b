//! Reads HTTP/1.1 responses, and counts their bytes and events.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The counts of one response.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ResponseCounts {
    /// The bytes of the body, without the framing of the transfer encoding.
    pub(crate) body_bytes: u64,
    /// The events of an event stream, each of which ends with two line feeds.
    pub(crate) items: u64,
}

/// Reads the responses of a connection one after the other.
pub(crate) struct ResponseReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// `buffer[start..end]` has been read but not consumed.
    start: usize,
    end: usize,
}

/// The size of the buffer, in bytes: large, so that reading a stream needs few system calls.
const BUFFER_SIZE: usize = 256 * 1024;

enum Framing {
    Length(u64),
    Chunked,
}

impl<R: AsyncRead + Unpin> ResponseReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; BUFFER_SIZE],
            start: 0,
            end: 0,
        }
    }

    /// Reads one response. A status other than 200, a malformed response and a connection that ends
    /// before the response does are errors.
    pub(crate) async fn next(&mut self) -> Result<ResponseCounts> {
        let framing = {
            let head = self.read_until(b"\r\n\r\n").await?;
            framing(&self.buffer[head])?
        };
        let mut body = BodyCounter::default();
        match framing {
            Framing::Length(length) => self.count(length, &mut body).await?,
            Framing::Chunked => loop {
                let line = self.read_until(b"\r\n").await?;
                let length = chunk_length(&self.buffer[line])?;
                self.count(length, &mut body).await?;
                if !self.read_until(b"\r\n").await?.is_empty() {
                    return Err(malformed("a chunk is longer than its length"));
                }
                if length == 0 {
                    break;
                }
            },
        }
        Ok(body.counted)
    }

    /// Consumes the bytes up to and including `delimiter`, and returns the range of the bytes
    /// before it.
    async fn read_until(&mut self, delimiter: &[u8]) -> Result<std::ops::Range<usize>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            let found = unread[searched..]
                .windows(delimiter.len())
                .position(|window| window == delimiter);
            if let Some(position) = found {
                let part = self.start..self.start + searched + position;
                self.start = part.end + delimiter.len();
                return Ok(part);
            }
            searched = unread.len().saturating_sub(delimiter.len() - 1);
            self.fill().await?;
        }
    }

    /// Consumes `length` bytes of the body.
    async fn count(&mut self, mut length: u64, body: &mut BodyCounter) -> Result<()> {
        while length > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let available = self.end - self.start;
            let part = usize::try_from(length).map_or(available, |length| length.min(available));
            body.add(&self.buffer[self.start..self.start + part]);
            self.start += part;
            length -= part as u64;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.buffer.len() {
            return Err(malformed("a line is longer than the buffer"));
        }
        match self.source.read(&mut self.buffer[self.end..]).await? {
            0 => Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the server closed the connection inside a response",
            )),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}

/// Counts the bytes and events of a body that arrives in chunks.
#[derive(Default)]
struct BodyCounter {
    counted: ResponseCounts,
    after_line_feed: bool,
}

impl BodyCounter {
    fn add(&mut self, part: &[u8]) {
        self.counted.body_bytes += part.len() as u64;
        for &byte in part {
            let line_feed = byte == b'\n';
            if line_feed && self.after_line_feed {
                self.counted.items += 1;
                self.after_line_feed = false;
            } else {
                self.after_line_feed = line_feed;
            }
        }
    }
}

fn framing(head: &[u8]) -> Result<Framing> {
    let head = std::str::from_utf8(head).map_err(|_| malformed("the head is not UTF-8"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(malformed(&format!("the status is not 200: {status}")));
    }
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| malformed("bad content-length"))?;
            return Ok(Framing::Length(length));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            return Ok(Framing::Chunked);
        }
    }
    Err(malformed(
        "the response has neither content-length nor transfer-encoding: chunked",
    ))
}

fn chunk_length(line: &[u8]) -> Result<u64> {
    std::str::from_utf8(line)
        .ok()
        .and_then(|line| u64::from_str_radix(line.split(';').next()?.trim(), 16).ok())
        .ok_or_else(|| malformed("bad chunk length"))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[tokio::test]
    async fn responses_of_one_connection_are_separated() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\
                     HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                     9\r\ndata: 1\n\n\r\n8\r\ndata: 2\n\r\n1\r\n\n\r\n0\r\n\r\n\
                     HTTP/1.1 500 Oh\r\n\r\n";
        let mut reader = ResponseReader::new(Cursor::new(wire));
        let counted = |body_bytes, items| ResponseCounts { body_bytes, items };
        assert_eq!(reader.next().await.unwrap(), counted(5, 0));
        // The delimiter of the second event is split across two chunks.
        assert_eq!(reader.next().await.unwrap(), counted(18, 2));
        assert!(reader.next().await.is_err());
    }

    #[tokio::test]
    async fn a_response_cut_short_is_an_error() {
        for wire in [
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        ] {
            let error = ResponseReader::new(Cursor::new(wire))
                .next()
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{wire}");
        }
    }

    #[tokio::test]
    async fn a_chunk_longer_than_its_length_is_an_error() {
        let wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n";
        let error = ResponseReader::new(Cursor::new(wire))
            .next()
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
