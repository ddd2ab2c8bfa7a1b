//! Applies every change of the commands to every form of agent.yaml.

use proptest::prelude::*;

use super::*;

const NAME: &[&str] = &["metadata", "name"];
const AUTHOR: &[&str] = &["metadata", "author"];
const DESCRIPTION: &[&str] = &["metadata", "description"];
const TIMEOUT: &[&str] = &["spec", "runtime", "timeout"];
const TEMPLATE: &[&str] = &["spec", "sandbox", "template_id"];
const PHASE: &[&str] = &["status", "phase"];
const DEPLOYED: &[&str] = &["status", "last_deployed"];
const TAGS: &[&str] = &["metadata", "tags"];
const KIND: &[&str] = &["kind"];

const BLOCK: &str = "# top\napiVersion: v1\nmetadata: # who\n  name: my-agent   # the name\n  version: \"1.0.0\" # quoted\n  author: 'a@b.co'\n\nspec:\n    # deep indentation\n    entrypoint: agent.py\n\n    runtime:\n        timeout: 60\n\n# last\n";

fn documents() -> Vec<(&'static str, String)> {
    let crlf = BLOCK.replace('\n', "\r\n");
    let unfinished = BLOCK.trim_end().to_owned();
    let marked = format!("{BYTE_ORDER_MARK}{BLOCK}");
    let written = [
        (
            "flow",
            "metadata: {name: x, version: \"1\", author: a@b.co} # c\nspec: {entrypoint: a.py}\n",
        ),
        (
            "flow over lines",
            "metadata: {\n  name: x, # why\n  version: \"1\"\n}\nspec: {entrypoint: \
             a.py,}\nstatus: {}\n",
        ),
        (
            "all flow",
            "{metadata: {name: x}, spec: {entrypoint: a.py}}\n",
        ),
        (
            "empty values",
            "metadata:\n  name: x\n  author:\n  version: # later\nspec:\nstatus:\n",
        ),
        (
            "nulls",
            "metadata:\n  name: x\nspec: ~\nstatus: # kept by tools\n",
        ),
        (
            "markers",
            "---\n# c\nmetadata:\n  name: x\nspec:\n  entrypoint: a.py\n...\n",
        ),
        (
            "several lines",
            "metadata:\n  name: x\n  description: >-\n    one\n    two\n  author: \
             |\n    x\nspec:\n  entrypoint: \"a\\\n    b.py\"\n",
        ),
        (
            "quoted keys",
            "\"metadata\":\n  'name' : x\nspec:\n  ? entrypoint\n  : a.py\n",
        ),
        (
            "status first",
            "status:\n  phase: building # now\n\n# about the spec\nspec:\n  entrypoint: a.py\n",
        ),
        (
            "unicode",
            "metadata:\n  name: x\n  description: \"日本語 🎉\" # 説明 # mehr\nspec:\n  entrypoint: \
             a.py\n",
        ),
        (
            "a list",
            "metadata:\n  name: x\n  tags: [old, older] # c\n  version: \"1\"\n",
        ),
        (
            "a list in lines",
            "metadata:\n  tags: # c\n  - old\n  - older\n  name: x # d\nspec:\n  entrypoint: \
             a.py\n",
        ),
        ("nothing", ""),
        ("comments", "# nothing yet"),
        (
            "a list beside",
            "spec:\n- a\n- b\nother:\n  - c # d\n  -\n    e: f\n",
        ),
    ];
    let written = written.map(|(what, text)| (what, text.to_owned()));
    let mut all = vec![
        ("block", BLOCK.to_owned()),
        ("crlf", crlf),
        ("no last newline", unfinished),
        ("byte order mark", marked),
    ];
    all.extend(written);
    all
}

fn changes() -> Vec<Edit> {
    vec![
        Edit::text(NAME, "new: name #x"),
        Edit::text(AUTHOR, "z@z.zz"),
        Edit::text(DESCRIPTION, "it's \"so\"\nbig\t\\ \u{7} 日"),
        Edit {
            path: TIMEOUT,
            value: NewValue::Number(90),
        },
        Edit::text(TEMPLATE, "1e3"),
        Edit::text(PHASE, "deployed"),
        Edit::text(DEPLOYED, "2024-01-15T10:30:00Z"),
        Edit::text(KIND, "Agent"),
        Edit {
            path: TAGS,
            value: NewValue::Texts(["ai", "no", "a, [b]: #c"].map(str::to_owned).to_vec()),
        },
    ]
}

/// Returns the value at a path; null if there is none.
fn at(text: &str, path: &[&str]) -> Value {
    let document = read(text).unwrap();
    let value = path.iter().try_fold(&document, |value, key| value.get(key));
    value.cloned().unwrap_or_default()
}

/// Returns the lines of `before` that `after` lacks, in order.
fn lost(before: &str, after: &str) -> Vec<String> {
    similar::TextDiff::from_lines(before, after)
        .iter_all_changes()
        .filter(|change| change.tag() == similar::ChangeTag::Delete)
        .map(|change| change.value().trim_end().to_owned())
        .collect()
}

/// Checks that no lines are lost except those that hold the value of the change.
fn assert_only_the_value_changed(what: &str, before: &str, after: &str, change: &Edit) {
    let lost: Vec<_> = lost(before, after)
        .into_iter()
        // A last line without a line end gets one when something follows it, and flow style grows
        // on its line.
        .filter(|line| {
            !after
                .lines()
                .any(|kept| kept.starts_with(line.trim_end_matches('}')))
        })
        .collect();
    let key = change.path.last().unwrap();
    let old = serde_yaml::to_string(&at(before, change.path)).unwrap();
    for line in &lost {
        let part_of_the_value =
            line.contains(key) || (old.contains(line.trim()) && !old.is_empty());
        // A flow section is on one line with its values; an empty one becomes a section.
        let section = change.path.iter().any(|key| line.contains(key));
        assert!(
            part_of_the_value || section,
            "{what}, {change:?}: lost {line:?} in\n{after}"
        );
    }
    if before.contains("\r\n") {
        let (all, windows) = (after.matches('\n').count(), after.matches("\r\n").count());
        assert_eq!(
            all, windows,
            "{what}, {change:?}: mixed line ends in {after:?}"
        );
    }
}

#[test]
fn every_change_applies_to_every_form_of_yaml() {
    for (what, text) in documents() {
        for change in changes() {
            let after = match apply(&text, std::slice::from_ref(&change)) {
                Ok(after) => after,
                // A section that is a list cannot hold a key.
                Err(EditError::Entangled { .. }) if what == "a list beside" => continue,
                Err(error) => panic!("{what}, {change:?}: {error}\n{text}"),
            };
            let value = match &change.value {
                NewValue::Text(text) => Value::from(text.as_str()),
                NewValue::Number(number) => Value::from(*number),
                NewValue::Texts(texts) => texts.iter().map(String::as_str).collect(),
            };
            assert_eq!(at(&after, change.path), value, "{what}");
            assert_only_the_value_changed(what, &text, &after, &change);
            // A second time changes nothing.
            assert_eq!(apply(&after, &[change]).unwrap(), after, "{what}");
        }
    }
}

#[test]
fn texts_that_yaml_1_1_reads_as_another_type_are_in_quotes() {
    for text in [
        "no",
        "On",
        "y",
        "null",
        "~",
        "",
        "1.10",
        "007",
        "0o7",
        "1_000",
        "0x1F",
        "12:30:00",
        "2024-01-01",
        ".inf",
        "<<",
        "=",
        "1e3",
    ] {
        for document in ["", "metadata: {name: x}\n", BLOCK] {
            let change = Edit::text(DESCRIPTION, text);
            let after = apply(document, &[change]).unwrap();
            let written = format!("description: \"{text}\"");
            assert!(after.contains(&written), "no {written} in\n{after}");
        }
    }
}

#[test]
fn a_deployment_is_written_as_plain_yaml() {
    let changes = [
        Edit::text(TEMPLATE, "tmpl_abc"),
        Edit::text(PHASE, "deployed"),
        Edit::text(&["status", "template_id"], "tmpl_abc"),
        Edit::text(DEPLOYED, "2024-01-15T11:00:00Z"),
    ];
    let after = apply(BLOCK, &changes).unwrap();
    let expected = BLOCK
        .replace(
            "        timeout: 60\n",
            "        timeout: 60\n    sandbox:\n      template_id: tmpl_abc\n",
        )
        .replace(
            "\n# last\n",
            "\n# last\nstatus:\n  phase: deployed\n  template_id: \
             tmpl_abc\n  last_deployed: \"2024-01-15T11:00:00Z\"\n",
        );
    assert_eq!(after, expected);
}

#[test]
fn a_change_that_would_change_other_values_is_an_error() {
    let anchored =
        "metadata: &m\n  name: &n x\n  author: *n\nspec:\n  entrypoint: a.py\nstatus: *m\n";
    for change in [Edit::text(NAME, "y"), Edit::text(PHASE, "failed")] {
        let error = apply(anchored, &[change]).unwrap_err();
        assert!(matches!(error, EditError::Entangled { .. }), "{error}");
    }
    let listed = Edit::text(TEMPLATE, "t");
    assert!(apply("spec: [a]\n", std::slice::from_ref(&listed)).is_err());
    assert!(matches!(
        apply("a: [\n", &[listed]),
        Err(EditError::Unreadable(_))
    ));
}

fn comment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z ]{0,8}".prop_map(|text| format!(" # {}", text.trim())),
    ]
}

fn blank() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::new()),
        1 => Just("\n".to_owned()),
        1 => "[a-z]{1,6}".prop_map(|text| format!("# {text}\n")),
    ]
}

#[test]
fn remove_changes_nothing_else() {
    let text = "# top\nspec:\n  entrypoint: a.py # why\n  sandbox:\n    template_id: t1\n    region: x\n\nstatus:\n  phase: deployed\n  template_id: t1\n";
    let without_status = remove(text, &["status"]).unwrap();
    assert_eq!(
        without_status.trim_end(),
        "# top\nspec:\n  entrypoint: a.py # why\n  sandbox:\n    template_id: t1\n    region: x"
    );
    let without_id = remove(&without_status, &["spec", "sandbox", "template_id"]).unwrap();
    assert_eq!(
        without_id.trim_end(),
        "# top\nspec:\n  entrypoint: a.py # why\n  sandbox:\n    region: x"
    );
    assert_eq!(remove(text, &["status", "build_id"]).unwrap(), text);
    let only = "spec:\n  entrypoint: a.py\n  sandbox:\n    template_id: t1\n";
    assert_eq!(
        remove(only, &["spec", "sandbox", "template_id"])
            .unwrap()
            .trim_end(),
        "spec:\n  entrypoint: a.py"
    );
    let other = "spec:\n  sandbox:\n    region: x\n";
    assert_eq!(
        remove(other, &["spec", "sandbox", "template_id"]).unwrap(),
        other
    );
    let commented = "status: # mine\n  phase: deployed\nspec:\n  entrypoint: a.py\n";
    assert!(matches!(
        remove(commented, &["status"]),
        Err(EditError::Entangled { .. })
    ));
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9-]{0,8}",
        "[a-z #:']{0,8}".prop_map(|text| format!("\"{text}\"")),
        "[a-z #:\"]{0,8}".prop_map(|text| format!("'{text}'")),
        Just("~".to_owned()),
        Just("60".to_owned()),
    ]
}

prop_compose! {
    /// Returns a section with some of its keys, in some indentation, with comments and blank lines.
    fn section(name: &'static str, keys: &'static [&'static str])(
        present in proptest::sample::subsequence(keys, 1..=keys.len()),
        values in proptest::collection::vec((scalar(), comment(), blank()), keys.len()),
        indent in 1..5usize,
        heading in comment(),
        before in blank(),
    ) -> String {
        let mut text = format!("{before}{name}:{heading}\n");
        for (key, (value, comment, after)) in present.iter().zip(&values) {
            let line = format!("{}{key}: {value}{comment}\n{after}", " ".repeat(indent));
            text.push_str(&line);
        }
        text
    }
}

proptest! {
    #[test]
    fn apply_changes_nothing_else(
        metadata in section("metadata", &["name", "version", "author", "description"]),
        spec in proptest::option::of(section("spec", &["entrypoint", "sandbox", "extra"])),
        status in proptest::option::of(section("status", &["phase", "build_id"])),
        status_first in any::<bool>(),
        windows in any::<bool>(),
        last_newline in any::<bool>(),
        text in "\\PC{0,12}",
        which in 0..4usize,
    ) {
        let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
        let mut document = if status_first {
            format!("{status}{metadata}{spec}")
        } else {
            format!("{metadata}{spec}{status}")
        };
        if !last_newline {
            document.truncate(document.trim_end().len());
        }
        if windows {
            document = document.replace('\n', "\r\n");
        }
        let path = [NAME, DESCRIPTION, PHASE, KIND][which];
        let change = Edit::text(path, text.clone());
        let after = apply(&document, std::slice::from_ref(&change))
            .map_err(|error| TestCaseError::fail(format!("{error} in\n{document}")))?;
        prop_assert_eq!(value_at(&after, path), Some(text));
        assert_only_the_value_changed("generated", &document, &after, &change);
    }
}
