//! Snapshots of the output.
//!
//! A difference fails the test and is printed. With `UPDATE_SNAPSHOTS=1` the files are written
//! instead, to be reviewed and committed.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use regex::Regex;
use similar::TextDiff;

/// Patterns for text that differs between runs, and their placeholders. The order matters.
const RULES: &[(&str, &str)] = &[
    // Cargo's progress depends on earlier builds; the project itself is always built.
    (
        r"(?m)^ *(Compiling|Downloaded|Downloading|Locking|Adding|Updating|Blocking|Building|Fresh) .*\n",
        "",
    ),
    (r"target\(s\) in [0-9][0-9a-z. ]*", "target(s) in <time>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\d\d:\d\d:\d\d\.\d+Z?", "<time>"),
    (r"duration_ms=\d+(\.\d+)?", "duration_ms=<time>"),
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "<uuid>",
    ),
    (r"\brequest [0-9a-f]{32}\b", "request <id>"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:<port>"),
    (r"\d+ (seconds?|minutes?) ago", "<time> ago"),
    // How far a machine isolates and limits sandboxes.
    (
        r"warning: sandboxes of the local platform .*; see `ppio-sandbox-cli local status`",
        "warning: sandboxes of the local platform <isolation>; see `ppio-sandbox-cli local status`",
    ),
    (r"\d+(\.\d+)? ?(B|KB|MB|KiB|MiB)\b", "<size>"),
    (r"\b\d+(\.\d+)? ?m?s\b", "<time>"),
    // Spaces at the end of a line are invisible.
    (r"(?m) +$", ""),
];

/// The commands and outputs of a test.
#[derive(Default)]
pub(crate) struct Transcript {
    text: String,
    names: Vec<(String, &'static str)>,
}

impl Transcript {
    /// Replaces a text, such as an id or a folder, by a placeholder.
    pub(crate) fn name(&mut self, text: impl Into<String>, placeholder: &'static str) {
        self.names.push((text.into(), placeholder));
    }

    pub(crate) fn step(&mut self, command: &str, shown: &str, code: Option<i32>) {
        let shown = shown.trim_end();
        let _ = writeln!(self.text, "$ {command}\n{shown}");
        match code {
            Some(0) => self.text.push('\n'),
            code => {
                let _ = writeln!(self.text, "(exit code {code:?})\n");
            }
        }
    }

    /// Compares the transcript with the snapshot of this name.
    #[track_caller]
    pub(crate) fn compare(mut self, file: &str) {
        for (text, placeholder) in &self.names {
            self.text = self.text.replace(text, placeholder);
        }
        for (rule, placeholder) in RULES {
            let rule = Regex::new(rule).expect("a rule");
            self.text = rule.replace_all(&self.text, *placeholder).into_owned();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cli/snapshots")
            .join(file);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, &self.text).expect("written");
            return;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let difference = TextDiff::from_lines(&kept, &self.text);
        assert!(
            kept == self.text,
            "{file} differs; if the output is right, run again with UPDATE_SNAPSHOTS=1\n{}",
            difference.unified_diff().header("kept", "now")
        );
    }
}

/// Returns the contents of a terminal after this output.
pub(crate) fn screen(written: &str) -> String {
    let side = |cells| NonZero::new(cells).expect("a size above 0");
    let (rows, columns) = (side(super::SCREEN.ws_row), side(super::SCREEN.ws_col));
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(written.as_bytes());
    terminal.screen().contents()
}
