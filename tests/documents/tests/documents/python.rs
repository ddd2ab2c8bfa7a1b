//! Checks `docs/python.md`: its names exist, and its examples are programs that the tests run.

use std::path::Path;
use std::process::Command;

use documents::span::{Span, classify};
use documents::table::{rows, spans};
use ppio_test_support::example_binary;

use crate::{read, repository};

/// The folder of the programs.
const PROGRAMS: &str = "examples/from-python/src/bin";
/// The line in a program before the code that the document does not show.
const NOT_SHOWN: &str = "\n// Not shown in docs/python.md.\n";

fn document() -> String {
    read("docs/python.md")
}

/// A program in the document, in both languages.
struct Example {
    file: String,
    python: String,
    rust: String,
}

fn examples() -> Vec<Example> {
    let document = document();
    let start = format!("](../{PROGRAMS}/");
    let parts = document.split(&start).skip(1);
    parts
        .map(|part| {
            let file = part.split(')').next().unwrap_or_default().to_owned();
            let block = |language: &str| {
                let block = part.split(&format!("\n```{language}\n")).nth(1);
                let block = block.and_then(|rest| rest.split("\n```\n").next());
                let block = block.unwrap_or_else(|| panic!("no block of {language} for {file}"));
                block.to_owned()
            };
            Example {
                python: block("python"),
                rust: block("rust"),
                file,
            }
        })
        .collect()
}

/// Returns the number of lines, without blank lines, comments and documentation.
fn lines(code: &str, comments: [&str; 2]) -> usize {
    let lines = code.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty());
    let is_comment = |line: &&str| comments.iter().any(|comment| line.starts_with(comment));
    lines.filter(|line| !is_comment(line)).count()
}

#[test]
fn every_row_has_a_counterpart_that_can_be_checked() {
    let variables = read("docs/configuration.md");
    for row in rows(&document()) {
        let place = format!("docs/python.md, line {}", row.line);
        if row.cells[0].starts_with('[') {
            continue; // the table of the examples
        }
        assert_eq!(row.cells.len(), 3, "{place}");
        let found = spans(&row.cells[1]);
        assert!(!found.is_empty(), "{place}: no name in the second column");
        for span in found {
            match classify(&span) {
                Some(Span::Name(_)) => {}
                Some(Span::Variable) => {
                    let is_listed = variables.contains(&format!("`{span}`"));
                    assert!(is_listed, "{place}: docs/configuration.md lacks {span}");
                }
                Some(Span::Command) => assert_command(&span, &place),
                None => panic!("{place}: {span:?} is not a name, a variable or a command"),
            }
        }
    }
}

/// Checks that the command in a command line exists and has the flags in that line.
#[track_caller]
fn assert_command(line: &str, place: &str) {
    let words: Vec<_> = line.split(' ').skip(1).collect();
    let is_flag = |word: &&str| word.starts_with("--");
    let command = words.iter().take_while(|word| !is_flag(word));
    let program = example_binary("ppio-sandbox-cli");
    let help = Command::new(program).args(command).arg("--help").output();
    let help = help.expect("the command line starts");
    assert!(help.status.success(), "{place}: no command {line:?}");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(
        help.contains("Usage: ppio-sandbox-cli agent "),
        "{place}: {line:?}\n{help}"
    );
    for flag in words.iter().filter(|word| is_flag(word)) {
        assert!(help.contains(flag), "{place}: {line:?} has no {flag}");
    }
}

#[test]
fn every_example_is_a_program_that_is_run() {
    let tests = read("tests/tests/local/python_examples.rs");
    let examples = examples();
    for Example { file, rust, .. } in &examples {
        let program = read(&format!("{PROGRAMS}/{file}"));
        let shown = program.split(NOT_SHOWN).next().unwrap_or_default();
        // Removes the first paragraph, which describes the program.
        let (_, shown) = shown.split_once("\n\n").expect("a first paragraph");
        assert_eq!(
            rust,
            shown.trim_end(),
            "docs/python.md does not show {file}"
        );
        let name = file.trim_end_matches(".rs");
        let is_run = tests.contains(&format!("\"{name}\""));
        assert!(is_run, "no test runs {file}");
    }
    let programs = std::fs::read_dir(repository(PROGRAMS)).expect("the programs");
    for program in programs {
        let name = program.expect("a program").file_name();
        let is_shown = examples
            .iter()
            .any(|example| Path::new(&example.file) == Path::new(&name));
        assert!(is_shown, "docs/python.md does not show {}", name.display());
    }
}

#[test]
fn the_table_of_examples_has_the_right_line_counts() {
    let mut listed = 0;
    let examples = examples();
    for row in rows(&document()) {
        let Some((_, anchor)) = row.cells[0].split_once("](#") else {
            continue;
        };
        let place = format!("docs/python.md, line {}", row.line);
        let heading = format!(
            "\n### {}\n",
            row.cells[0]
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default()
        );
        let document = document();
        let section = document
            .split(&heading)
            .nth(1)
            .unwrap_or_else(|| panic!("{place}: no {anchor}"));
        let example = examples.iter().find(|example| {
            let link = format!("{PROGRAMS}/{})", example.file);
            section
                .split("\n### ")
                .next()
                .is_some_and(|section| section.contains(&link))
        });
        let example = example.unwrap_or_else(|| panic!("{place}: no example program"));
        let python = lines(&example.python, ["#", "\"\"\""]);
        let rust = lines(&example.rust, ["//", "//"]);
        assert_eq!(
            row.cells[1..3],
            [python.to_string(), rust.to_string()],
            "{place}"
        );
        let reason = row.cells.get(3).map_or("", String::as_str);
        assert_eq!(
            rust > python,
            !reason.is_empty(),
            "{place}: a reason only if Rust is longer"
        );
        listed += 1;
    }
    assert_eq!(listed, examples.len(), "the table lists every example");
}
