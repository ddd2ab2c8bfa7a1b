//! Reads the output of an agent line by line.
//!
//! A line ends with `\n`, `\r\n`, or a lone `\r`, with which programs overwrite a line that shows
//! their progress. A line that does not end is returned in chunks, so that it does not fill the
//! memory.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The maximum size of a line, or of a chunk of a line, in bytes.
const MAX_LINE: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct AgentOutputReader<R> {
    pipe: R,
    limit: usize,
    /// The line so far.
    line: Vec<u8>,
    last_end: LineEnd,
}

/// The way in which the previous line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    /// With `\n`, or not at all.
    Newline,
    /// With `\r`, or as a chunk: a `\n` that follows is a part of the same end.
    Return,
    /// With `\r` and without text: it is a line only if `\n` follows.
    EmptyReturn,
}

impl<R: AsyncBufRead + Unpin> AgentOutputReader<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self::with_limit(pipe, MAX_LINE)
    }

    fn with_limit(pipe: R, limit: usize) -> Self {
        Self {
            pipe,
            limit,
            line: Vec::new(),
            last_end: LineEnd::Newline,
        }
    }

    /// Returns the next line without its end; `None` at the end of the output. Not cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let buffer = self.pipe.fill_buf().await?;
            if buffer.is_empty() {
                let is_end = self.line.is_empty();
                return Ok((!is_end).then(|| self.take(self.line.len())));
            }
            let room = self.limit - self.line.len();
            let buffer = &buffer[..buffer.len().min(room)];
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let Some(end) = end else {
                let length = buffer.len();
                self.line.extend_from_slice(buffer);
                self.pipe.consume(length);
                self.last_end = LineEnd::Newline;
                if self.line.len() >= self.limit {
                    self.last_end = LineEnd::Return;
                    return Ok(Some(self.take(whole_characters(&self.line))));
                }
                continue;
            };
            let is_newline = buffer[end] == b'\n';
            self.line.extend_from_slice(&buffer[..end]);
            self.pipe.consume(end + 1);
            if self.ends_line(is_newline) {
                return Ok(Some(self.take(self.line.len())));
            }
        }
    }

    /// Whether an end of a line completes a line that was not returned yet.
    fn ends_line(&mut self, is_newline: bool) -> bool {
        let before = self.last_end;
        let is_empty = self.line.is_empty();
        self.last_end = match (is_newline, is_empty) {
            (true, _) => LineEnd::Newline,
            (false, true) if before == LineEnd::Newline => LineEnd::EmptyReturn,
            (false, true) => before,
            (false, false) => LineEnd::Return,
        };
        !is_empty || is_newline && before != LineEnd::Return
    }

    /// Removes and returns the first `length` bytes of the line.
    fn take(&mut self, length: usize) -> String {
        let rest = self.line.split_off(length);
        let line = std::mem::replace(&mut self.line, rest);
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// Returns the length of the text without an incomplete character at its end.
fn whole_characters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    /// Returns the lines of an output that arrives in chunks of `capacity` bytes.
    async fn lines(output: &[u8], capacity: usize) -> Vec<String> {
        let pipe = BufReader::with_capacity(capacity, output);
        let mut reader = AgentOutputReader::with_limit(pipe, 8);
        let mut lines = Vec::new();
        while let Some(line) = reader.next().await.unwrap() {
            lines.push(line);
        }
        lines
    }

    #[tokio::test]
    async fn lines_have_three_ends_and_a_length() {
        for (output, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b"]),
            ("\n\na\n", &["", "", "a"]),
            ("a\r\nb\r\n", &["a", "b"]),
            ("\r\n\r\na\r\n\r\n", &["", "", "a", ""]),
            ("a\r\r\nb", &["a", "b"]),
            ("\r10 %\r20 %\rdone\n", &["10 %", "20 %", "done"]),
            ("\r\ra\r\r\rb\n\r", &["a", "b"]),
            ("12345678", &["12345678"]),
            ("12345678\n1\n", &["12345678", "1"]),
            ("123456781234\n", &["12345678", "1234"]),
            ("1234567é9\n", &["1234567", "é9"]),
            ("日本日本日本", &["日本", "日本", "日本"]),
        ] {
            for capacity in 1..=20 {
                let found = lines(output.as_bytes(), capacity).await;
                assert_eq!(found, expected, "{output:?} {capacity}");
            }
        }
        // Output that is not UTF-8 is returned as well.
        let found = lines(b"\xff\n12345\xf0\x9f\xf0\x9f6789", 4).await;
        assert_eq!(found.concat().matches(char::is_numeric).count(), 9);
        assert_eq!(found[0], "\u{fffd}");
    }
}
