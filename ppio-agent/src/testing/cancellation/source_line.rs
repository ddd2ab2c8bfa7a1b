//! A line of the code under test, found in a backtrace.

use std::backtrace::Backtrace;
use std::env;
use std::fmt;
use std::path::Path;

/// A line of source code at which a future waits: that of an `.await`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLine {
    file: String,
    line: u32,
}

/// Parts of the paths of foreign sources: those of the standard library and of packages that cargo
/// downloaded.
const FOREIGN_PATHS: &[&str] = &["/rustc/", "/rustlib/", "/registry/src/", "/git/checkouts/"];
/// The folder of this crate's sources, if cargo did not download the crate.
const OWN_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");

impl SourceLine {
    /// Returns the innermost line in the package under test, or else in any code that cargo did not
    /// download. `None` in a build without line tables.
    pub(super) fn of(backtrace: &Backtrace) -> Option<Self> {
        let folder = env::current_dir().unwrap_or_default();
        Self::in_text(&backtrace.to_string(), &folder)
    }

    /// Parses frames as the standard library writes them: innermost first, with relative paths
    /// below the current folder. cargo runs tests in the folder of their package.
    ///
    /// ```text
    ///    7: agent::reserve::{{closure}}
    ///              at ./src/main.rs:12:20
    /// ```
    fn in_text(text: &str, folder: &Path) -> Option<Self> {
        let mut elsewhere = None;
        let places = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("at "));
        for place in places {
            let is_foreign = FOREIGN_PATHS.iter().any(|path| place.contains(path));
            if is_foreign || folder.join(relative(place)).starts_with(OWN_PATH) {
                continue;
            }
            let Some(found) = Self::parse(place) else {
                continue;
            };
            if place.starts_with("./") {
                return Some(found);
            }
            elsewhere.get_or_insert(found);
        }
        elsewhere
    }

    /// Parses a location such as `./src/main.rs:12:20`.
    fn parse(place: &str) -> Option<Self> {
        let mut parts = relative(place).rsplitn(3, ':');
        let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            file: file.to_owned(),
            line: line.parse().ok()?,
        })
    }

    /// Returns the file, relative to the package under test if the file is inside it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the line number, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }
}

fn relative(place: &str) -> &str {
    place.strip_prefix("./").unwrap_or(place)
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_line_of_the_author_is_found() {
        let above = format!(
            "   0: core::ptr::drop_in_place
             at /rustc/59807616e/library/core/src/ptr/mod.rs:805:1
   1: <tokio::time::Sleep as core::future::Future>::poll
             at /home/a/.cargo/registry/src/index-1949cf8c/tokio-1.54.1/src/time/sleep.rs:4:5
   2: <ppio::testing::TracedHandler as core::future::Future>::poll
             at {OWN_PATH}testing/poll_trace.rs:9:1\n"
        );
        for (frames, expected) in [
            ("", None),
            (
                "   3: agent::reserve::{{closure}}::{{closure}}\n             at \
                 ./src/main.rs:12:20\n",
                Some("src/main.rs:12"),
            ),
            // Another crate of the workspace is searched as well, but the package under test takes
            // precedence.
            (
                "   3: shared::wait\n             at /home/a/shared/src/lib.rs:7:1
   4: agent::main\n             at ./src/main.rs:3:1\n",
                Some("src/main.rs:3"),
            ),
            (
                "   3: shared::wait\n             at /home/a/shared/src/lib.rs:7:1\n",
                Some("/home/a/shared/src/lib.rs:7"),
            ),
            // The backtrace of a build without line tables has no locations.
            ("   3: agent::main\n", None),
        ] {
            let text = format!("{above}{frames}   9: main\n");
            let found = SourceLine::in_text(&text, Path::new("/home/a/agent"));
            let found = found.map(|line| line.to_string());
            assert_eq!(found.as_deref(), expected, "{frames}");
        }
        // The lines of this crate are skipped in its own tests as well.
        let own = "   3: poll\n             at ./src/testing/mod.rs:7:1\n";
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(SourceLine::in_text(own, package), None);
    }
}
