//! `.dockerignore`, with Docker's semantics.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// Patterns in their order; the last one that matches decides.
#[derive(Debug, Default)]
pub(crate) struct DockerIgnore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    matcher: GlobMatcher,
    /// Whether the line starts with `!`.
    keeps: bool,
}

/// A line that is not a valid pattern.
#[derive(Debug, thiserror::Error)]
#[error(".dockerignore:{line}: {source}")]
pub(crate) struct PatternError {
    line: usize,
    source: globset::Error,
}

impl PatternError {
    /// Returns the error in the pattern.
    pub(crate) fn reason(&self) -> String {
        self.source.to_string()
    }
}

impl DockerIgnore {
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.lines().enumerate() {
            // As in Docker, `#` starts a comment only in the first column.
            let line = if line.starts_with('#') {
                ""
            } else {
                line.trim()
            };
            let (keeps, glob) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            // Patterns are relative to the project: leading `./` and `/` and a trailing `/` have no
            // effect.
            let glob = glob.trim_start_matches("./").trim_matches('/');
            if glob.is_empty() || glob == "." {
                continue;
            }
            let glob = GlobBuilder::new(glob).literal_separator(true).build();
            let matcher = glob
                .map_err(|source| PatternError {
                    line: index + 1,
                    source,
                })?
                .compile_matcher();
            patterns.push(Pattern { matcher, keeps });
        }
        Ok(Self { patterns })
    }

    /// Whether a path relative to the project is left out. A pattern that matches a folder includes
    /// its contents.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        let deciding = self.patterns.iter().rev().find(|pattern| {
            path.ancestors()
                .filter(|part| !part.as_os_str().is_empty())
                .any(|part| pattern.matcher.is_match(part))
        });
        deciding.is_some_and(|pattern| !pattern.keeps)
    }

    /// Whether patterns that select files, as those of `--include`, match a path. The test is that
    /// of [`leaves_out`](Self::leaves_out).
    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.leaves_out(path)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether files inside a folder that is left out may be kept.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.keeps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases from Docker's documentation, and cases in which `.dockerignore` differs from
    /// `.gitignore`.
    #[test]
    fn the_last_matching_pattern_decides() {
        for (text, out, kept) in [
            (
                "*/temp*",
                &["a/temp", "a/temporary.txt", "a/temp/b"][..],
                &["temp", "a/b/temp"][..],
            ),
            ("*/*/temp*", &["a/b/temp.md"], &["a/temp"]),
            ("temp?", &["tempa"], &["temp", "a/tempa"]),
            ("**/*.pyc", &["a.pyc", "a/b/c.pyc"], &["a.py"]),
            (
                "# no\n *.md \n!README.md",
                &["a.md"],
                &["README.md", "a/b.md"],
            ),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                &["README-secret.md", "a.md"],
                &["README-1.md"],
            ),
            (
                "docs\n!docs/api",
                &["docs/a", "docs/b/c"],
                &["docs/api/a", "docs/api"],
            ),
            ("!docs/api\ndocs", &["docs/api/a"], &["doc"]),
            ("/target/", &["target", "target/debug/a"], &["a/target"]),
            ("./a\r\nb\r\n", &["a", "b/c"], &["c"]),
            ("*\n!src", &["a", "b/c"], &["src/x/y"]),
            ("", &[], &["a"]),
        ] {
            let ignore = DockerIgnore::parse(text).unwrap();
            for path in out {
                assert!(ignore.leaves_out(Path::new(path)), "{text:?} {path}");
            }
            for path in kept {
                assert!(!ignore.leaves_out(Path::new(path)), "{text:?} {path}");
            }
        }
        let error = DockerIgnore::parse("a\n[").unwrap_err().to_string();
        assert!(error.starts_with(".dockerignore:2: "), "{error}");
    }
}
