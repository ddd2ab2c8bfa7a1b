//! Finds the end of each request, and detects request heads with two lengths.

use crate::chunk_scan::ChunkScan;
use crate::progress::UNKNOWN;

/// How many bytes of an incomplete line are kept for the next read.
const LINE_LENGTH: usize = 40;

const LENGTH: &[u8; 15] = b"content-length:";
const CODING: &[u8; 18] = b"transfer-encoding:";

/// Scans the bytes of one request as they arrive.
///
/// hyper receives no byte beyond the end of a request before it reads the next request. So the head
/// of each request is scanned, even if it arrives together with the request before it.
#[derive(Debug, Default)]
pub(crate) struct MessageScan {
    state: ScanState,
    head: HeadScan,
}

#[derive(Debug, Default, Clone, Copy)]
enum ScanState {
    /// Nothing but empty lines, which hyper skips.
    #[default]
    BeforeHead,
    Head,
    /// A body that has this many bytes left.
    Sized(u64),
    Chunked(ChunkScan),
    End,
    /// hyper and the scan disagree about the end of a request. Nothing that follows is scanned.
    Lost,
}

impl MessageScan {
    /// Reads the next bytes. Returns how many of them belong to this request: at least one, unless
    /// the request has ended.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            taken += match &mut self.state {
                ScanState::BeforeHead | ScanState::Head => self.lines(rest),
                ScanState::Sized(left) => {
                    let length =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    *left -= length as u64;
                    if *left == 0 {
                        self.state = ScanState::End;
                    }
                    length
                }
                ScanState::Chunked(chunks) => {
                    let length = chunks.scan(rest);
                    if chunks.is_at_end() {
                        self.state = ScanState::End;
                    } else if chunks.is_invalid() {
                        self.state = ScanState::Lost;
                    }
                    length
                }
                ScanState::End => break,
                ScanState::Lost => rest.len(),
            };
        }
        taken
    }

    /// Whether the head has not ended yet; also true before it begins.
    pub(crate) fn awaits_end_of_head(&self) -> bool {
        matches!(self.state, ScanState::BeforeHead | ScanState::Head)
    }

    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.state, ScanState::BeforeHead)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        matches!(self.state, ScanState::End)
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.head.has_coding
    }

    /// Returns the length of the body that the head announces: [`UNKNOWN`] for chunks, `None` for
    /// an ambiguous or invalid length.
    pub(crate) fn length(&self) -> Option<u64> {
        self.head.length()
    }

    /// Resets the scan for the next request.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Stops scanning, because hyper reads beyond the end that the scan found.
    pub(crate) fn disable(&mut self) {
        self.state = ScanState::Lost;
    }

    /// Reads up to the end of the head. Returns how many bytes were read.
    fn lines(&mut self, bytes: &[u8]) -> usize {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if self.head.line(line) {
                self.state = ScanState::Head;
            } else if matches!(self.state, ScanState::Head) {
                self.state = self.head.body();
                return start;
            }
        }
        if start < bytes.len() {
            self.head.keep(&bytes[start..]);
            if self.head.begins_with_text() {
                self.state = ScanState::Head;
            }
        }
        bytes.len()
    }
}

/// The length of the body, as found in the lines of the head.
#[derive(Debug)]
struct HeadScan {
    /// The beginning of a line that was incomplete at the end of the last read.
    kept: [u8; LINE_LENGTH],
    kept_length: usize,
    length: Option<u64>,
    /// The head has lengths that differ, or one that is not a number.
    is_invalid: bool,
    has_coding: bool,
}

impl Default for HeadScan {
    fn default() -> Self {
        Self {
            kept: [0; LINE_LENGTH],
            kept_length: 0,
            length: None,
            is_invalid: false,
            has_coding: false,
        }
    }
}

impl HeadScan {
    /// Returns the length of the body: [`UNKNOWN`] for chunks, `None` for an ambiguous or invalid
    /// length.
    fn length(&self) -> Option<u64> {
        match (self.has_coding, self.length) {
            _ if self.is_invalid => None,
            (true, Some(_)) => None,
            (true, None) => Some(UNKNOWN),
            (false, length) => Some(length.unwrap_or(0).min(UNKNOWN)),
        }
    }

    /// Returns the state of the scan after the head.
    fn body(&self) -> ScanState {
        match self.length() {
            None | Some(0) => ScanState::End,
            Some(UNKNOWN) if self.has_coding => ScanState::Chunked(ChunkScan::default()),
            Some(length) => ScanState::Sized(length),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(LINE_LENGTH - self.kept_length);
        self.kept[self.kept_length..self.kept_length + taken].copy_from_slice(&bytes[..taken]);
        self.kept_length += taken;
    }

    /// Whether the incomplete line contains text, unlike the empty lines before a head.
    fn begins_with_text(&self) -> bool {
        self.kept[..self.kept_length]
            .first()
            .is_some_and(|byte| *byte != b'\r')
    }

    /// Reads the rest of a line. Returns false for an empty line.
    fn line(&mut self, rest: &[u8]) -> bool {
        let kept;
        let line = if self.kept_length == 0 {
            rest
        } else {
            self.keep(rest);
            kept = self.kept;
            &kept[..std::mem::take(&mut self.kept_length)]
        };
        match line.first() {
            Some(b'c' | b'C') => {
                if let Some(value) = value(line, LENGTH) {
                    let length = number(value);
                    let differs = self.length.is_some() && self.length != length;
                    self.is_invalid |= length.is_none() || differs;
                    self.length = length;
                }
            }
            Some(b't' | b'T') => self.has_coding |= value(line, CODING).is_some(),
            None | Some(b'\r') => return false,
            _ => {}
        }
        true
    }
}

/// Returns the value of the header `name`, if `line` is that header.
fn value<'a, const N: usize>(line: &'a [u8], name: &[u8; N]) -> Option<&'a [u8]> {
    let (start, value) = line.split_first_chunk::<N>()?;
    // Most lines are other headers, and most names are written in lower case; ignoring the case
    // costs ten times as much as either comparison.
    let is_name = start[N - 1] == b':' && (start == name || start.eq_ignore_ascii_case(name));
    is_name.then_some(value)
}

/// Parses a length as hyper does: digits alone.
fn number(value: &[u8]) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the length of the body, and how many bytes belong to the request.
    fn scan(text: &str, size: usize) -> (Option<u64>, usize) {
        let mut scan = MessageScan::default();
        let mut length = 0;
        for part in text.as_bytes().chunks(size) {
            length += scan.scan(part);
        }
        assert!(scan.is_at_end(), "{text:?} {size}");
        (scan.length(), length)
    }

    #[test]
    fn lengths_and_ends_are_found_however_the_request_is_divided() {
        for (head, length, body) in [
            ("\r\n", Some(0), ""),
            ("\n", Some(0), ""),
            ("content-length: 0\r\n\r\n", Some(0), ""),
            (
                "Content-Length:\t12 \r\n\r\n",
                Some(12),
                "\r\n\r\nPOST /\n\n",
            ),
            ("content-length: 3\nContent-length: 3\n\n", Some(3), "abc"),
            (
                "x: transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n",
                Some(1),
                "a",
            ),
            ("content-lengthy: 1\r\n\r\n", Some(0), ""),
            ("content-lenght: 1\r\n\r\n", Some(0), ""),
            (
                "transfer-encoding: chunked\r\n\r\n",
                Some(UNKNOWN),
                "1\r\na\r\n0\r\n\r\n",
            ),
            (
                "transfer-encoding: chunked\r\n\r\n",
                Some(UNKNOWN),
                "0\r\ncontent-length: 1\r\n\r\n",
            ),
            (
                "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                None,
                "",
            ),
            (
                "TRANSFER-ENCODING:chunked\r\nx: y\r\ncontent-length:1\r\n\r\n",
                None,
                "",
            ),
            (
                "transfer-encoding: chunked\ncontent-length: 1\n\n",
                None,
                "",
            ),
            ("content-length: 1\r\ncontent-length: 2\r\n\r\n", None, ""),
            (
                "content-length: 1\r\ncontent-length: 1, 1\r\n\r\n",
                None,
                "",
            ),
            ("content-length: +1\r\n\r\n", None, ""),
            ("content-length:\r\n\r\n", None, ""),
        ] {
            let request = format!("\r\n\nPOST /content-length:1 HTTP/1.1\r\n{head}{body}");
            let text = format!("{request}GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
            for size in [1, 2, 7, 19, text.len()] {
                assert_eq!(
                    scan(&text, size),
                    (length, request.len()),
                    "{text:?} {size}"
                );
            }
        }
    }

    #[test]
    fn a_request_begins_with_its_first_byte() {
        for (text, begins) in [
            ("\r\n\n\r", false),
            ("G", true),
            ("\r\nG", true),
            ("\nG\r\n", true),
        ] {
            for size in [1, text.len()] {
                let mut scan = MessageScan::default();
                for part in text.as_bytes().chunks(size) {
                    scan.scan(part);
                }
                assert_eq!(scan.has_begun(), begins, "{text:?}");
            }
        }
    }
}
