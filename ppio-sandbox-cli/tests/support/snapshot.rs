//! What people see, kept in the repository.
//!
//! A difference fails the test and is shown. With `UPDATE_SNAPSHOTS=1` the files are written instead, to be looked at
//! and committed.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use regex::Regex;
use similar::TextDiff;

/// What differs from run to run, and what stands for it. The order matters.
const RULES: &[(&str, &str)] = &[
    // What cargo says depends on what it built before; the project itself is always built.
    (
        r"(?m)^ *(Compiling|Downloaded|Downloading|Locking|Adding|Updating|Blocking|Building|Fresh) .*\n",
        "",
    ),
    (r"target\(s\) in [0-9][0-9a-z. ]*", "target(s) in <time>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
    (r"\d\d:\d\d:\d\d\.\d+Z?", "<time>"),
    (r"duration_ms=\d+", "duration_ms=<time>"),
    (
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "<uuid>",
    ),
    (r"\brequest [0-9a-f]{32}\b", "request <id>"),
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:<port>"),
    (r"\d+ (seconds?|minutes?) ago", "<time> ago"),
    // What a machine keeps sandboxes to.
    (
        r"warning: its sandboxes .*; see `ppio-sandbox-cli local status`",
        "warning: its sandboxes <confinement>; see `ppio-sandbox-cli local status`",
    ),
    (r"\d+(\.\d+)? ?(B|KB|MB|KiB|MiB)\b", "<size>"),
    (r"\b\d+(\.\d+)? ?m?s\b", "<time>"),
    // Spaces at the end of a line are seen by nobody.
    (r"(?m) +$", ""),
];

/// A walk through the command line, step by step.
#[derive(Default)]
pub(crate) struct Transcript {
    text: String,
    names: Vec<(String, &'static str)>,
}

impl Transcript {
    /// From now on the text stands for itself no more: an id, a folder.
    pub(crate) fn name(&mut self, text: impl Into<String>, stands: &'static str) {
        self.names.push((text.into(), stands));
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

    /// Compares with the file of this name beside the tests.
    #[track_caller]
    pub(crate) fn compare(mut self, file: &str) {
        for (text, stands) in &self.names {
            self.text = self.text.replace(text, stands);
        }
        for (rule, stands) in RULES {
            let rule = Regex::new(rule).expect("a rule");
            self.text = rule.replace_all(&self.text, *stands).into_owned();
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/snapshots")
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
            "{file} shows something else now; if that is right, run again with UPDATE_SNAPSHOTS=1\n{}",
            difference.unified_diff().header("kept", "now")
        );
    }
}

/// What a terminal shows after all of this was written to it.
pub(crate) fn screen(written: &str) -> String {
    let side = |cells| NonZero::new(cells).expect("it has a size");
    let (rows, columns) = (side(super::SCREEN.ws_row), side(super::SCREEN.ws_col));
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(written.as_bytes());
    terminal.screen().contents()
}
