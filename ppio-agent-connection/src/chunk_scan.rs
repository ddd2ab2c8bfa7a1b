//! Finds the end of a chunked body.

/// Scans the bytes of a chunked body as they arrive, with the rules of hyper's decoder.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ChunkScan {
    state: ChunkScanState,
    /// The chunk size parsed so far, or the number of bytes left in the chunk.
    size: u64,
}

/// What the scan expects next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum ChunkScanState {
    /// The first digit of a size.
    #[default]
    Start,
    Size,
    /// The rest of the line with the size.
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// A trailer, or the empty line at the end.
    EndCr,
    Trailer,
    TrailerLf,
    EndLf,
    End,
    Invalid,
}

impl ChunkScan {
    /// Reads the next bytes. Returns how many of them belong to the body.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_at_end() && !self.is_invalid() {
            if self.state == ChunkScanState::Data {
                let rest = bytes.len() - taken;
                let length = usize::try_from(self.size).map_or(rest, |left| left.min(rest));
                self.size -= length as u64;
                if self.size == 0 {
                    self.state = ChunkScanState::DataCr;
                }
                taken += length;
            } else {
                self.state = self.next(bytes[taken]);
                taken += 1;
            }
        }
        taken
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.state == ChunkScanState::End
    }

    /// Whether the body violates the chunked coding of RFC 9112.
    pub(crate) fn is_invalid(&self) -> bool {
        self.state == ChunkScanState::Invalid
    }

    fn next(&mut self, byte: u8) -> ChunkScanState {
        match (self.state, byte) {
            (ChunkScanState::Start | ChunkScanState::Size, digit) if digit.is_ascii_hexdigit() => {
                let digit = char::from(digit).to_digit(16).unwrap_or_default();
                let size = self.size.checked_mul(16);
                match size.and_then(|size| size.checked_add(digit.into())) {
                    Some(size) => {
                        self.size = size;
                        ChunkScanState::Size
                    }
                    None => ChunkScanState::Invalid,
                }
            }
            (ChunkScanState::Size | ChunkScanState::Extension, b'\r') => ChunkScanState::SizeLf,
            (ChunkScanState::Size, b' ' | b'\t' | b';') => ChunkScanState::Extension,
            (ChunkScanState::Extension, byte) if byte != b'\n' => ChunkScanState::Extension,
            (ChunkScanState::SizeLf, b'\n') if self.size == 0 => ChunkScanState::EndCr,
            (ChunkScanState::SizeLf, b'\n') => ChunkScanState::Data,
            (ChunkScanState::DataCr, b'\r') => ChunkScanState::DataLf,
            (ChunkScanState::DataLf, b'\n') => ChunkScanState::Start,
            (ChunkScanState::EndCr, b'\r') => ChunkScanState::EndLf,
            (ChunkScanState::Trailer, b'\r') => ChunkScanState::TrailerLf,
            (ChunkScanState::EndCr | ChunkScanState::Trailer, _) => ChunkScanState::Trailer,
            (ChunkScanState::TrailerLf, b'\n') => ChunkScanState::EndCr,
            (ChunkScanState::EndLf, b'\n') => ChunkScanState::End,
            _ => ChunkScanState::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many bytes of `text` belong to the body, `None` if it is invalid or has no end.
    fn end(text: &str, size: usize) -> Option<usize> {
        let mut scan = ChunkScan::default();
        let mut length = 0;
        for part in text.as_bytes().chunks(size) {
            length += scan.scan(part);
        }
        scan.is_at_end().then_some(length)
    }

    #[test]
    fn the_end_is_found_however_the_body_is_divided() {
        for body in [
            "0\r\n\r\n",
            "000;a=b\r\n\r\n",
            "1\r\na\r\n0\r\n\r\n",
            "A  \r\n0123456789\r\n0\r\n\r\n",
            "a;x\r\n\r\n\r\n\r\n\r\n\r\n\r\n0 ;\r\n\r\n",
            "5\r\n0\r\n\r\n\r\n0\r\nx: y\r\nz:\nw\r\n\r\n",
        ] {
            let text = format!("{body}GET / HTTP/1.1\r\n\r\n");
            for size in [1, 2, 3, 7, text.len()] {
                assert_eq!(end(&text, size), Some(body.len()), "{body:?} {size}");
            }
        }
        for text in [
            "\r\n\r\n",
            ";\r\n\r\n",
            "0\n\n",
            "0\r\n\n\r\n",
            "0\r\nx\ry\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "1\r\na\n0\r\n\r\n",
            "1;\n\r\na\r\n0\r\n\r\n",
            "1 0g\r\n",
            "g\r\n\r\n",
            "-1\r\n\r\n",
            "10000000000000000\r\n",
        ] {
            for size in [1, text.len()] {
                assert_eq!(end(text, size), None, "{text:?} {size}");
            }
        }
    }
}
