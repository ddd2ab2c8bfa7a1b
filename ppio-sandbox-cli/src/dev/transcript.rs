//! What cargo said, for those who did not see it.

/// Collects cargo's words as it writes them to a terminal.
#[derive(Debug, Default)]
pub(super) struct Transcript(Vec<u8>);

impl Transcript {
    pub(super) fn hear(&mut self, said: &[u8]) {
        self.0.extend_from_slice(said);
    }

    /// Everything, as it came.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text without colours, and without progress, which is written over itself.
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
    fn progress_and_colours_are_left_out() {
        let mut transcript = Transcript::default();
        for said in [
            "   Compiling a\n",
            "    Building [=> ] 1/2: a\r",
            "\r\u{1b}[K\u{1b}[1m\u{1b}[91merr",
            "or\u{1b}[0m: no\r\n  --> src\n",
            "    Building [=> ] 1/2: a\r\u{1b}[K",
        ] {
            transcript.hear(said.as_bytes());
        }
        assert_eq!(transcript.text(), "Compiling a\nerror: no\n  --> src");
    }
}
