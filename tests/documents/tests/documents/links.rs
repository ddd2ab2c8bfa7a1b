//! Checks that the targets of the links in the documents exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::{read, repository};

fn documents() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository("docs")).expect("the folder of documents");
    let names =
        entries.map(|entry| PathBuf::from("docs").join(entry.expect("an entry").file_name()));
    let top = [
        "README.md",
        "README.zh-CN.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    names.chain(top.map(PathBuf::from)).collect()
}

/// Returns the links of a document to files and headings, outside of code blocks: the file, and the
/// text after `#`.
fn links(document: &Path) -> Vec<(String, Option<String>)> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a valid pattern");
    let text = read(&document.to_string_lossy());
    let mut in_code = false;
    let lines = text.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code
    });
    let found = lines.flat_map(|line| link.captures_iter(line));
    found
        .map(|found| found[1].to_owned())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .map(|target| match target.split_once('#') {
            Some((file, anchor)) => (file.to_owned(), Some(anchor.to_owned())),
            None => (target, None),
        })
        .collect()
}

/// Returns the anchors of the headings of a document, as GitHub generates them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| {
        line.trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with('#'))
    });
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            let kept = kept
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_has_an_existing_target() {
    for document in documents() {
        let folder = document.parent().unwrap_or(Path::new(""));
        for (file, anchor) in links(&document) {
            let path = if file.is_empty() {
                document.clone()
            } else {
                folder.join(&file)
            };
            let place = format!("{}: {file}", document.display());
            assert!(
                repository(&path.to_string_lossy()).exists(),
                "{place} does not exist"
            );
            if let Some(anchor) = anchor {
                let text = read(&path.to_string_lossy());
                assert!(
                    anchors(&text).contains(&anchor),
                    "{place} has no heading #{anchor}"
                );
            }
        }
    }
}

#[test]
fn both_readmes_link_every_document() {
    for readme in ["README.md", "README.zh-CN.md"] {
        let linked: BTreeSet<_> = links(Path::new(readme))
            .into_iter()
            .map(|(file, _)| file)
            .collect();
        for document in documents() {
            let name = document.to_string_lossy().into_owned();
            if name.starts_with("docs/") {
                assert!(linked.contains(&name), "{readme} does not link {name}");
            }
        }
    }
}
