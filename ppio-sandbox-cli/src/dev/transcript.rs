//! The output of cargo, kept for the waiting page and JSON output.

/// The maximum number of bytes that are kept, so that the output of a macro or a build script does
/// not fill the memory.
const MAX_TRANSCRIPT: usize = 4 * 1024 * 1024;

/// The unchanged output of cargo, up to [`MAX_TRANSCRIPT`] bytes.
#[derive(Debug, Default)]
pub(super) struct CargoTranscript(Vec<u8>);

impl CargoTranscript {
    pub(super) fn write(&mut self, output: &[u8]) {
        let room = MAX_TRANSCRIPT - self.0.len();
        self.0.extend_from_slice(&output[..output.len().min(room)]);
    }

    /// Returns the unchanged output, or the beginning of a very long one.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text without colours, and without progress lines, which overwrite each other.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let lines = text.split_inclusive('\n').map(|line| {
            let line = line.trim_end_matches(['\r', '\n']);
            line.rsplit('\r').next().unwrap_or(line)
        });
        let lines: Vec<_> = lines
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect();
        lines.join("\n").trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_no_progress_and_no_colours() {
        let mut transcript = CargoTranscript::default();
        for output in [
            "   Compiling a\n",
            "    Building [=> ] 1/2: a\r",
            "\r\u{1b}[K\u{1b}[1m\u{1b}[91merr",
            "or\u{1b}[0m: no\r\n  --> src\n",
            "    Building [=> ] 1/2: a\r\u{1b}[K",
        ] {
            transcript.write(output.as_bytes());
        }
        assert_eq!(transcript.text(), "Compiling a\nerror: no\n  --> src");
    }

    #[test]
    fn the_beginning_of_an_output_without_end_is_kept() {
        let mut transcript = CargoTranscript::default();
        transcript.write(b"error: the first\n");
        for _ in 0..100 {
            transcript.write(&b"x".repeat(100_000));
        }
        assert!(transcript.text().starts_with("error: the first\nxxx"));
        assert_eq!(transcript.bytes().len(), MAX_TRANSCRIPT);
    }
}
