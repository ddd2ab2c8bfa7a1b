//! Checks that `docs/configuration.md` lists every environment variable.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::{read, repository};
use documents::table::{rows, spans};

/// Files that compose the names of variables, each with the prefixes of the names.
const COMPOSED: [(&str, &[&str]); 7] = [
    ("ppio-agent/src/config/address.rs", &["PPIO_AGENT_"]),
    ("ppio-agent/src/config/settings/values.rs", &["PPIO_AGENT_"]),
    (
        "ppio-agent-client/src/config/environment.rs",
        &["PPIO_", "E2B_"],
    ),
    (
        "ppio-agent-client/src/platform/endpoints/mod.rs",
        &["PPIO_", "E2B_"],
    ),
    (
        "ppio-agent/src/telemetry/exporters.rs",
        &[
            "OTEL_EXPORTER_OTLP_",
            "OTEL_EXPORTER_OTLP_TRACES_",
            "OTEL_EXPORTER_OTLP_METRICS_",
            "OTEL_EXPORTER_OTLP_LOGS_",
        ],
    ),
    ("ppio-sandbox-cli/src/platform/mod.rs", &["PPIO_", "E2B_"]),
    (
        "ppio-sandbox-local/src/platform/environment.rs",
        &["PPIO_", "E2B_", "NOVITA_"],
    ),
];

/// The beginnings of texts in capital letters with an underscore that are not variables.
const OTHER_TEXTS: [&str; 14] = [
    // Names that the macros generate, and variables that cargo sets during compilation.
    "AN_AGENT_HAS_ONE_",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    // Constants of protocols: envd, health checks, Linux capabilities.
    "CAP_SET",
    "EVENT_TYPE_",
    "FILE_TYPE_",
    "HEALTHY_BUSY",
    "SIGNAL_SIG",
    // The events of AG-UI, and the case in which their names are written.
    "RUN_ERROR",
    "SCREAMING_SNAKE_CASE",
    "TEXT_MESSAGE_",
    // Followed by a number: passes a variable to a program through the processes that start it.
    "PPIO_LOCAL_VARIABLE_",
    // The output of `getconf`, and an SSH key file.
    "GNU_LIBC_VERSION",
    "ID_ED25519",
];

/// Files whose texts in capital letters are protocol names: states, roles and reasons of A2A.
const PROTOCOL_FILES: [&str; 6] = [
    "ppio-agent/src/protocols/a2a/failure.rs",
    "ppio-agent/src/protocols/a2a/list.rs",
    "ppio-agent/src/protocols/a2a/message.rs",
    "ppio-agent/src/protocols/a2a/wire.rs",
    "ppio-sandbox-cli/src/invoke/protocol/a2a.rs",
    "ppio-sandbox-cli/src/invoke/protocol/ag_ui.rs",
];

/// Variables that the standard library and the OpenTelemetry crates read by themselves.
const READ_BY_CRATES: [&str; 12] = [
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "RUST_BACKTRACE",
];

/// Words in [`COMPOSED`] files that are not the end of a name.
const OTHER_WORDS: [&str; 3] = ["E2B", "NOVITA", "PPIO"];

/// Returns the variables in the document, each with the first line that lists it.
fn documented() -> BTreeMap<String, usize> {
    let mut variables = BTreeMap::new();
    for row in rows(&read("docs/configuration.md")) {
        for span in spans(&row.cells[0]) {
            variables.entry(span).or_insert(row.line);
        }
    }
    variables
}

/// Returns the texts in capital letters in the product sources, without tests and comments.
fn texts_of_sources() -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut texts = BTreeMap::new();
    let entries = fs::read_dir(repository("")).expect("the repository");
    for entry in entries.map(|entry| entry.expect("an entry")) {
        if entry.file_name().to_string_lossy().starts_with("ppio-") {
            collect(&entry.path().join("src"), &mut texts);
        }
    }
    for file in COMPOSED.map(|(file, _)| file).iter().chain(&PROTOCOL_FILES) {
        assert!(
            texts.contains_key(&repository(file)),
            "{file} does not exist"
        );
    }
    for file in PROTOCOL_FILES {
        texts.remove(&repository(file));
    }
    texts
}

fn collect(folder: &Path, texts: &mut BTreeMap<PathBuf, BTreeSet<String>>) {
    let text = Regex::new(r#""([A-Z][A-Z0-9_]+|[a-z]+_proxy)""#).expect("a valid pattern");
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        if path.is_dir() {
            collect(&path, texts);
        } else if is_source && !path.ends_with("tests.rs") {
            let source = fs::read_to_string(&path).expect("a source");
            let source = source
                .split("#[cfg(test)]\nmod ")
                .next()
                .unwrap_or_default();
            let lines = source
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let found = lines.flat_map(|line| text.captures_iter(line));
            let found = found.map(|found| found[1].to_owned()).collect();
            texts.insert(path, found);
        }
    }
}

/// Returns the prefixes of the names that a file composes.
fn prefixes(path: &Path) -> &'static [&'static str] {
    let found = COMPOSED.iter().find(|(file, _)| repository(file) == path);
    found.map_or(&[], |(_, prefixes)| *prefixes)
}

#[test]
fn every_variable_of_the_code_is_documented() {
    let documented = documented();
    let mut missing = Vec::new();
    for (path, texts) in texts_of_sources() {
        let prefixes = prefixes(&path);
        for text in texts {
            let is_other = OTHER_TEXTS.iter().any(|other| text.starts_with(other))
                || OTHER_WORDS.contains(&text.as_str());
            // A single word counts as a variable only in a file that composes names.
            if is_other
                || documented.contains_key(&text)
                || (prefixes.is_empty() && !text.contains('_'))
            {
                continue;
            }
            let names = prefixes.iter().map(|prefix| format!("{prefix}{text}"));
            let names: Vec<_> = names.collect();
            if names.is_empty() || names.iter().any(|name| !documented.contains_key(name)) {
                missing.push(format!("{}: {text} {names:?}", path.display()));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/configuration.md lacks\n{}",
        missing.join("\n")
    );
}

#[test]
fn every_documented_variable_is_in_the_code() {
    let mut known = BTreeSet::from(READ_BY_CRATES.map(str::to_owned));
    for (path, texts) in texts_of_sources() {
        for prefix in prefixes(&path) {
            known.extend(texts.iter().map(|text| format!("{prefix}{text}")));
        }
        known.extend(texts);
    }
    for (name, line) in documented() {
        assert!(
            known.contains(&name),
            "docs/configuration.md, line {line}: no source has {name}"
        );
    }
}
