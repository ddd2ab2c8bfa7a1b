//! Finds heads with a length and a transfer encoding.

/// The extension of a request whose head has both a `Content-Length` and a `Transfer-Encoding`.
///
/// Servers disagree about the end of such a request, which lets requests be smuggled (RFC 9112,
/// section 6.1). hyper removes the length from the headers, so that they do not show it.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousLength;

const LENGTH: &[u8] = b"content-length:";
const CODING: &[u8] = b"transfer-encoding:";

/// Scans the bytes of a head as they arrive.
#[derive(Debug, Default)]
pub(crate) struct HeadScan {
    /// The beginning of a line that the last read did not end.
    line: [u8; CODING.len()],
    length: usize,
    has_length: bool,
    has_coding: bool,
    part: Part,
}

/// Where the scan is.
#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    BeforeHead,
    Head,
    AfterHead,
}

impl HeadScan {
    /// Reads the next bytes. Returns whether the head has both headers.
    pub(crate) fn scan(&mut self, mut bytes: &[u8]) -> bool {
        while self.part != Part::AfterHead {
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.length == 0 && end.is_some() {
                self.line_is(part);
            } else {
                let taken = part.len().min(self.line.len() - self.length);
                self.line[self.length..self.length + taken].copy_from_slice(&part[..taken]);
                self.length += taken;
                if end.is_some() {
                    let line = self.line;
                    self.line_is(&line[..self.length]);
                    self.length = 0;
                }
            }
            match end {
                Some(end) => bytes = &bytes[end + 1..],
                None => break,
            }
        }
        self.has_length && self.has_coding
    }

    /// The same object for the next head.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    fn line_is(&mut self, line: &[u8]) {
        let starts_with = |name: &[u8]| {
            line.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        match line.first() {
            Some(b'c' | b'C') => self.has_length |= starts_with(LENGTH),
            Some(b't' | b'T') => self.has_coding |= starts_with(CODING),
            // An empty line ends the head; hyper skips those before it.
            None | Some(b'\r') => {
                if self.part == Part::Head {
                    self.part = Part::AfterHead;
                }
                return;
            }
            _ => {}
        }
        self.part = Part::Head;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ambiguous(head: &str, size: usize) -> bool {
        let mut scan = HeadScan::default();
        let mut found = false;
        for part in head.as_bytes().chunks(size) {
            found |= scan.scan(part);
        }
        found
    }

    #[test]
    fn both_headers_are_found_in_any_order_and_however_the_head_is_divided() {
        for (head, expected) in [
            (
                "Content-Length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "TRANSFER-ENCODING:chunked\r\nx: y\r\ncontent-length:1\r\n\r\n",
                true,
            ),
            ("transfer-encoding: chunked\ncontent-length: 1\n\n", true),
            (
                "content-length: 1\r\n\r\ntransfer-encoding: chunked\r\n",
                false,
            ),
            (
                "transfer-encoding: chunked\r\n\r\n1\r\n\ncontent-length: 1",
                false,
            ),
            (
                "content-length: 1\r\nx: transfer-encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "content-lengthy: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
            ),
        ] {
            let head = format!("\r\nPOST /content-length:1 HTTP/1.1\r\n{head}");
            for size in [1, 2, 7, 19, head.len()] {
                assert_eq!(is_ambiguous(&head, size), expected, "{head:?} {size}");
            }
        }
    }

    #[test]
    fn each_head_is_judged_by_itself() {
        let mut scan = HeadScan::default();
        assert!(!scan.scan(b"GET / HTTP/1.1\r\ncontent-length: 1\r\n\r\n"));
        scan.reset();
        assert!(!scan.scan(b"GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"));
    }
}
