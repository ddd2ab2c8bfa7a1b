//! Compares two `OpenAPI` 3.1 documents, and finds the changes that affect callers of the service.
//!
//! A request that callers send today has to be accepted by the new service, and what the new
//! service answers has to be what callers expect today. So the old schema of a request has to be a
//! subset of the new one, and the new schema of an answer a subset of the old one. A location where
//! this does not hold is a breaking change.
//!
//! - A new value of an enumeration in an answer, or a new alternative of the same JSON type, is a
//!   note if all earlier ones are still there; otherwise it may replace one of them. Programs that
//!   read an answer are expected to ignore unknown values. If every new event in a stream needed
//!   `--allow-breaking`, authors would pass this flag without reading which changes it allows.
//! - What a program cannot decide (`not`, `if`, two patterns, alternatives that nothing
//!   distinguishes) is reported as not compared if it has changed, and never counts as compatible.
//! - Descriptions, examples, defaults and other annotations are ignored. A compatible change is
//!   listed only if the change may matter to some callers, and then as a note.
//!
//! `operations` compares paths, parameters and statuses, `contents` bodies and headers. `schemas`
//! splits a schema into `branches` of one JSON type each, with references and `combination`s
//! resolved. `alternatives` pairs the branches, and `members` and `limits` compare them. `budget`
//! bounds the work, because a document may come from anywhere.
//!
//! No crate makes this comparison. `oasdiff` and `openapi-diff` are programs in Go and Java.
//! `json-schema-diff` compares JSON Schemas of drafts before 2020-12, does not read `OpenAPI`, and
//! reports what differs, not whether it breaks the sender or the receiver, which is the question
//! here.

mod alternatives;
mod branch;
mod branches;
mod budget;
mod change;
mod combination;
mod contents;
mod document;
mod limits;
mod members;
mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(super) use self::change::{Change, Severity};

use self::document::ComparedDocument;
use self::schemas::Comparison;

/// The version of the documents that are compared.
const VERSION: &str = "3.1.";

/// Returns the changes from one document to the other: first those that break callers, then those
/// that are not compared, then notes.
///
/// # Errors
/// If one of the documents is not a document of `OpenAPI` 3.1.
pub(super) fn compare(old: &Value, new: &Value) -> Result<Vec<Change>, String> {
    for (name, document) in [("deployed", old), ("new", new)] {
        let version = document["openapi"].as_str().unwrap_or_default();
        if !version.starts_with(VERSION) || !document["paths"].is_object() {
            return Err(format!(
                "the {name} agent's document is not one of OpenAPI 3.1"
            ));
        }
    }
    let mut comparison = Comparison::new(ComparedDocument::new(old), ComparedDocument::new(new));
    comparison.documents();
    let mut changes = comparison.into_changes();
    changes.sort_by_key(|change| change.severity);
    Ok(changes)
}
