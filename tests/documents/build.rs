//! Writes the Rust names in two documents as links, which rustdoc resolves.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "the tests use the rest of these modules"
)]

#[path = "src/span.rs"]
mod span;
#[path = "src/table.rs"]
mod table;

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let mut links = String::new();
    for document in ["python.md", "configuration.md"] {
        let path = format!("../../docs/{document}");
        println!("cargo::rerun-if-changed={path}");
        let text = std::fs::read_to_string(&path).expect("the document");
        for row in table::rows(&text) {
            for text in row
                .cells
                .get(1)
                .into_iter()
                .flat_map(|cell| table::spans(cell))
            {
                if let Some(span::Span::Name(name)) = span::classify(&text)
                    && (document == "python.md" || name.contains("::"))
                {
                    writeln!(links, "- docs/{document}, line {}: [`{name}`]", row.line)
                        .expect("writing to a string cannot fail");
                }
            }
        }
    }
    assert!(links.len() > 1000, "the documents have names");
    let folder = std::env::var_os("OUT_DIR").expect("set by cargo");
    std::fs::write(Path::new(&folder).join("names.md"), links).expect("a writable folder");
}
