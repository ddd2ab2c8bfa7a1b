//! Checks that `docs/agent-yaml.md` lists every field.

use std::collections::BTreeMap;

use ppio_agent_client::AgentConfig;
use regex::Regex;

use crate::read;
use documents::table::{rows, spans};

/// Fields that the types keep in `extra`, each with the file that reads the field and a text in
/// that file.
const READ_FROM_EXTRA: [(&str, &str, &str); 3] = [
    (
        "metadata.tags",
        "ppio-agent-client/src/templates/agent_template.rs",
        "/metadata/tags",
    ),
    (
        "spec.dependencies",
        "ppio-agent-client/src/templates/agent_template.rs",
        "/spec/dependencies",
    ),
    (
        "spec.files",
        "ppio-sandbox-cli/src/deploy/prepare.rs",
        "\"files\"",
    ),
];

fn document() -> String {
    read("docs/agent-yaml.md")
}

/// Returns the fields in the document, each with its type.
fn documented() -> BTreeMap<String, String> {
    let rows = rows(&document()).into_iter();
    rows.map(|row| {
        let [field] = spans(&row.cells[0])
            .try_into()
            .unwrap_or_else(|_| panic!("line {}: the first column has one field", row.line));
        (field, row.cells[1].clone())
    })
    .collect()
}

fn example() -> AgentConfig {
    let document = document();
    let yaml = document
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    AgentConfig::from_yaml(yaml.expect("an example")).expect("the example is valid")
}

/// Returns the paths of all fields of the types; `Debug` also prints the fields that are not set.
fn fields_of_types(config: &AgentConfig) -> Vec<String> {
    let field = Regex::new(r"^( +)(\w+): ").expect("a valid pattern");
    let text = format!("{config:#?}");
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut paths = Vec::new();
    for line in text.lines() {
        let Some(found) = field.captures(line) else {
            continue;
        };
        let indent = found[1].len();
        open.retain(|(above, _)| *above < indent);
        let name = match &found[2] {
            "api_version" => "apiVersion",
            name => name,
        };
        open.push((indent, name.to_owned()));
        let names: Vec<_> = open.iter().map(|(_, name)| name.as_str()).collect();
        paths.push(names.join("."));
    }
    paths
}

#[test]
fn every_field_of_the_types_is_documented() {
    let documented = documented();
    let is_value = |path: &str| documented.get(path).is_some_and(|kind| kind != "section");
    let mut missing = Vec::new();
    for path in fields_of_types(&example()) {
        let parts: Vec<_> = path.split('.').collect();
        // A path inside a value, or inside `extra`, is not a field.
        let is_inside = (1..parts.len()).any(|count| {
            let above = parts[..count].join(".");
            is_value(&above) || parts[count - 1] == "extra"
        });
        let is_extra = parts.last() == Some(&"extra");
        if !is_inside && !is_extra && !documented.contains_key(&path) {
            missing.push(path);
        }
    }
    assert_eq!(missing, [""; 0], "docs/agent-yaml.md lacks fields");
}

#[test]
fn every_documented_field_is_read() {
    let fields = fields_of_types(&example());
    for field in documented().keys() {
        let from_extra = READ_FROM_EXTRA.iter().find(|(name, _, _)| name == field);
        match from_extra {
            Some((_, file, key)) if !fields.contains(field) => {
                assert!(read(file).contains(key), "{file} does not read {field}");
            }
            _ => assert!(fields.contains(field), "no type has the field {field}"),
        }
    }
}

#[test]
fn the_example_has_every_documented_field() {
    let example = serde_json::to_value(example()).expect("the example is JSON");
    for field in documented().keys() {
        let pointer = format!("/{}", field.replace('.', "/"));
        let value = example.pointer(&pointer);
        assert!(
            value.is_some_and(|value| !value.is_null()),
            "the example has no {field}"
        );
    }
}
