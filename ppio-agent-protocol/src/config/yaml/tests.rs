use std::fmt::Write;

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    AgentConfig, AgentConfigError, AgentMetadata, AgentSpec, AgentStatus, CpuLimit,
    DeploymentPhase, MemoryLimit, RuntimeSpec, SandboxSpec, StartTimeout, Timestamp,
};

const DOCUMENT: &str = r#"# Agent
apiVersion: v1
kind: Agent
metadata:
  name: my-langgraph-agent
  version: "1.0.0"
  author: "developer@example.com"
  description: "A LangGraph-based AI agent"
  created: "2024-01-15T10:30:00Z"
  labels: {team: a}

spec:
  entrypoint: "agent.py"

  runtime:
    timeout: 60
    memory_limit: "1Gi"
    cpu_limit: "1"

  sandbox:
    template_id: "tmpl_abc123"

status:
  phase: "deployed"
  template_id: "tmpl_abc123"
  last_deployed: "2024-01-15T11:00:00Z"
  build_id: "build_xyz789"
"#;

fn error_of(text: &str) -> AgentConfigError {
    AgentConfig::from_yaml(text).unwrap_err()
}

#[test]
fn reads_a_full_document() {
    let config = AgentConfig::from_yaml(DOCUMENT).unwrap();
    assert!(config.spec.entrypoint.as_ref().unwrap().is_python());
    let runtime = config.spec.runtime.as_ref().unwrap();
    assert_eq!(runtime.timeout.unwrap().as_secs(), 60);
    assert_eq!(runtime.memory_limit.unwrap().mebibytes(), 1024);
    assert_eq!(runtime.cpu_limit.unwrap().cpu_count(), 1);
    let status = config.status.as_ref().unwrap();
    assert_eq!(status.phase, Some(DeploymentPhase::Deployed));
    assert_eq!(config.metadata.extra["labels"], json!({"team": "a"}));

    let written = config.to_yaml().unwrap();
    assert_eq!(AgentConfig::from_yaml(&written).unwrap(), config);
    // The JSON text holds the same document.
    assert_eq!(
        AgentConfig::from_json(&config.to_json().unwrap()).unwrap(),
        config
    );
}

#[test]
fn reads_crlf_and_a_byte_order_mark() {
    let text = format!("\u{feff}{}", DOCUMENT.replace('\n', "\r\n"));
    assert_eq!(
        AgentConfig::from_yaml(&text),
        AgentConfig::from_yaml(DOCUMENT)
    );
}

#[test]
fn reads_numbers_without_quotes() {
    let text = DOCUMENT
        .replace("\"1Gi\"", "1073741824")
        .replace("cpu_limit: \"1\"", "cpu_limit: 0.5");
    let runtime = AgentConfig::from_yaml(&text).unwrap().spec.runtime.unwrap();
    assert_eq!(runtime.memory_limit.unwrap().mebibytes(), 1024);
    assert_eq!(runtime.cpu_limit.unwrap().millicores(), 500);
}

#[test]
#[rustfmt::skip]
fn errors_name_field_line_and_column() {
    const RUNTIME: &str = "runtime:\n    timeout: 60\n    memory_limit: \"1Gi\"\n    cpu_limit: \"1\"";
    for (from, to, path, line, column, problem) in [
        ("apiVersion: v1", "apiVersion: v2", "apiVersion", 2, 13, "write `v1`"),
        ("kind: Agent", "kind: Pod", "kind", 3, 7, "write `Agent`"),
        ("my-langgraph-agent", "My Agent", "metadata.name", 5, 9, "lower-case letters"),
        ("my-langgraph-agent", "''", "metadata.name", 5, 9, "the name is empty"),
        ("my-langgraph-agent", "[a]", "metadata.name", 5, 9, "a name such as `my-agent`"),
        ("my-langgraph-agent", "null", "metadata.name", 5, 9, "the value is null, write a name such as"),
        ("my-langgraph-agent", "~", "metadata.name", 5, 9, "the value is null"),
        ("my-langgraph-agent", "", "metadata.name", 5, 8, "the value is null"),
        ("my-langgraph-agent", "true", "metadata.name", 5, 9, "boolean `true`, expected a name"),
        ("my-langgraph-agent", "123", "metadata.name", 5, 9, "in quotes if it is a number"),
        ("\"developer@example.com\"", "null", "metadata.author", 7, 11, "the value is null"),
        ("\"2024-01-15T10:30:00Z\"", "yesterday", "metadata.created", 9, 12, "write one such as \"2024-"),
        ("\"2024-01-15T10:30:00Z\"", "2024", "metadata.created", 9, 12, "a time in ISO 8601"),
        ("\"2024-01-15T11:00:00Z\"", "soon", "status.last_deployed", 26, 18, "write one such as \"2024-"),
        ("phase: \"deployed\"", "phase: archived", "status.phase", 24, 10, "write `pending`, `building`, `deployed` or `failed`"),
        ("\"1.0.0\"", "1.0", "metadata.version", 6, 12, "a version in quotes"),
        ("\"developer@example.com\"", "me", "metadata.author", 7, 11, "e-mail address"),
        ("\"agent.py\"", "/agent.py", "spec.entrypoint", 13, 15, "relative to agent.yaml"),
        ("\"agent.py\"", "agent.js", "spec.entrypoint", 13, 15, "`src/main.rs`"),
        ("\"agent.py\"", "\"\"", "spec.entrypoint", 13, 15, "the entrypoint is empty"),
        ("timeout: 60", "timeout: 3601", "spec.runtime.timeout", 16, 14, "use 1 to 3600"),
        ("timeout: 60", "timeout: -1", "spec.runtime.timeout", 16, 14, "use 1 to 3600"),
        ("timeout: 60", "timeout: 60s", "spec.runtime.timeout", 16, 14, "without quotes or unit"),
        ("\"1Gi\"", "1.5Gi", "spec.runtime.memory_limit", 17, 19, "`512Mi`"),
        ("\"1Gi\"", "1Gb/s", "spec.runtime.memory_limit", 17, 19, "not a unit"),
        (RUNTIME, "runtime: big", "spec.runtime", 15, 12, "a section such as `timeout: 60`"),
        ("cpu_limit: \"1\"", "cpu_limit: half", "spec.runtime.cpu_limit", 18, 16, "`500m`"),
    ] {
        let text = DOCUMENT.replacen(from, to, 1);
        assert_ne!(text, DOCUMENT, "{from:?} is not in the document");
        let error = error_of(&text);
        assert_eq!(error.path(), Some(path), "{error}");
        assert_eq!((error.line(), error.column()), (Some(line), Some(column)), "{error}");
        assert!(error.problem().contains(problem), "{error}");
        assert!(!error.problem().contains(" at line "), "{error}");
    }
}

#[test]
fn errors_show_a_missing_field_at_its_section() {
    for (removed, path, line) in [
        ("  name: my-langgraph-agent\n", "metadata.name", 5),
        ("  version: \"1.0.0\"\n", "metadata.version", 5),
        (
            "  author: \"developer@example.com\"\n",
            "metadata.author",
            5,
        ),
        ("  entrypoint: \"agent.py\"\n", "spec.entrypoint", 14),
    ] {
        let error = error_of(&DOCUMENT.replacen(removed, "", 1));
        assert_eq!(
            (error.path(), error.line()),
            (Some(path), Some(line)),
            "{error}"
        );
        assert!(
            error.is_missing_field() && error.problem().starts_with("the field is missing, add `"),
            "{error}"
        );
    }
}

#[test]
fn rejects_text_that_is_not_a_document() {
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "null",
        "[]",
        "hello",
        "a: b: c",
        "\t- x",
        "{",
        "metadata: &a [*a]",
        "\u{0}",
        "%",
    ] {
        error_of(text);
    }
    let twice = format!("{DOCUMENT}---\n{DOCUMENT}");
    assert!(
        error_of(&twice)
            .to_string()
            .contains("more than one document")
    );
    let duplicate = format!("{DOCUMENT}kind: Agent\n");
    let error = error_of(&duplicate);
    assert_eq!(error.path(), Some("kind"));
    assert!(error.problem().starts_with("duplicate field, "), "{error}");
}

/// Texts that `PyYAML`, js-yaml or another reader of YAML 1.1 takes as another type if they are not
/// in quotes.
#[rustfmt::skip]
const NOT_PLAIN: &[&str] = &[
    // booleans
    "y", "Y", "n", "N", "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off",
    "OFF", "true", "True", "TRUE", "false", "False", "FALSE",
    // null
    "", "~", "null", "Null", "NULL",
    // integers: decimal, octal in two notations, hexadecimal, binary, sexagesimal
    "0", "-1", "+1", "1_000", "007", "0o7", "0x1F", "0b101", "190:20:30", "12:30", "12:30:00",
    // floating point
    "1.0", "1.", ".5", "1e3", "1.5e+3", "1_000.5", "20:30.15", ".inf", "-.Inf", "+.INF", ".nan",
    ".NaN",
    // dates and times
    "2024-01-01", "2024-01-15T10:30:00Z", "2024-01-15 10:30:00", "2024-1-5t1:2:3.4 +8",
    // merge key, default value
    "<<", "=",
    // indicators, comments, markers, spaces
    "-", "- a", "?", ":", "a: b", "a:", "a #b", "#a", "&a", "*a", "!a", "|", ">", "@a", "`a", "%a",
    "{", "[", "]", "a, b", "'a'", "\"a\"", "---", "...", " a", "a ", "a\nb", "a\tb",
    "\u{feff}a", "a\u{85}b", "a\u{2028}b", "a\u{7f}",
];

#[test]
fn texts_that_yaml_1_1_reads_as_another_type_are_in_quotes() {
    for text in NOT_PLAIN {
        let written = crate::yaml::scalar(text);
        assert!(
            written.starts_with('"') && !written.contains('\n'),
            "{written}"
        );

        // As a value, as a key, and in a list.
        let mut config = AgentConfig::from_yaml(DOCUMENT).unwrap();
        config.metadata.description = Some((*text).to_owned());
        config.extra.insert((*text).to_owned(), json!([text]));
        let yaml = config.to_yaml().unwrap();
        for line in [
            format!("  description: {written}\n"),
            format!("\n{written}:\n  - {written}\n"),
        ] {
            assert!(yaml.contains(&line), "no {line:?} in\n{yaml}");
        }
        assert_eq!(AgentConfig::from_yaml(&yaml).unwrap(), config);
    }
    for text in [
        "a",
        "my-agent",
        "A LangGraph-based AI agent",
        "a@b.cn",
        "src/main.rs",
        "智能体 2",
    ] {
        assert_eq!(crate::yaml::scalar(text), text);
    }
}

#[test]
fn numbers_are_numbers_in_yaml_1_1_and_1_2() {
    let mut config = AgentConfig::from_yaml(DOCUMENT).unwrap();
    for (number, written) in [
        (json!(1e300), "1.0e+300"),
        (json!(1.5e-9), "1.5e-9"),
        (json!(-0.5), "-0.5"),
        (json!(u64::MAX), "18446744073709551615"),
    ] {
        config.extra.insert("x".to_owned(), number);
        let yaml = config.to_yaml().unwrap();
        assert!(yaml.ends_with(&format!("\nx: {written}\n")), "{yaml}");
        assert_eq!(AgentConfig::from_yaml(&yaml).unwrap(), config);
    }
}

#[test]
fn fields_are_written_in_their_order_in_block_style() {
    let mut config = AgentConfig::from_yaml(DOCUMENT).unwrap();
    let long = "k".repeat(200);
    config.extra = Map::from_iter([
        (
            "x".to_owned(),
            json!([[1, {"a": {}, "b": [null, true]}], []]),
        ),
        (long.clone(), json!({"c": 1})),
    ]);
    let yaml = config.to_yaml().unwrap();
    let expected = format!(
        r#"apiVersion: v1
kind: Agent
metadata:
  name: my-langgraph-agent
  version: "1.0.0"
  author: developer@example.com
  description: A LangGraph-based AI agent
  created: "2024-01-15T10:30:00Z"
  labels:
    team: a
spec:
  entrypoint: agent.py
  runtime:
    timeout: 60
    memory_limit: "1Gi"
    cpu_limit: "1"
  sandbox:
    template_id: tmpl_abc123
status:
  phase: deployed
  template_id: tmpl_abc123
  last_deployed: "2024-01-15T11:00:00Z"
  build_id: build_xyz789
? {long}
:
  c: 1
x:
  - - 1
    - a: {{}}
      b:
        - null
        - true
  - []
"#
    );
    assert_eq!(yaml, expected);
    assert_eq!(AgentConfig::from_yaml(&yaml).unwrap(), config);
}

/// Each alias expands to ten of the level below, a billion in total.
#[test]
fn rejects_aliases_that_expand_exponentially() {
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for level in 1..=9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    error_of(&(DOCUMENT.to_owned() + &bomb));
    error_of(&format!("x: {}", "[".repeat(1_000)));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,16}",
        "[ \\n\\t:#'\"&*!|>%@`{}\\[\\],-]{0,8}",
        prop::sample::select(NOT_PLAIN).prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // JSON libraries read these numbers without rounding.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

fn time() -> impl Strategy<Value = Timestamp> {
    "20[0-9]{2}-0[1-9]-1[0-9](T[01][0-9]:[0-5][0-9]:[0-5][0-9]Z)?"
        .prop_map(|time| time.parse().unwrap())
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    btree_map("x[a-z -]{0,6}", value(), 0..3).prop_map(Map::from_iter)
}

fn metadata() -> impl Strategy<Value = AgentMetadata> {
    let name = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?";
    let author = "[a-z0-9.+]{1,8}@[a-z0-9]{1,8}[.][a-z]{2,3}";
    (
        name,
        "[0-9a-z.+-]{1,8}",
        author,
        option::of(text()),
        option::of(time()),
        extra(),
    )
        .prop_map(
            |(name, version, author, description, created, extra)| AgentMetadata {
                description,
                created,
                extra,
                ..AgentMetadata::new(name, version, author).unwrap()
            },
        )
}

fn runtime() -> impl Strategy<Value = RuntimeSpec> {
    let memory = (1..u64::MAX).prop_map(|bytes| bytes.to_string().parse::<MemoryLimit>().unwrap());
    let cpu =
        (1..u32::MAX).prop_map(|millicores| format!("{millicores}m").parse::<CpuLimit>().unwrap());
    let timeout = (1..=3600u64).prop_map(|seconds| StartTimeout::from_secs(seconds).unwrap());
    (
        option::of(timeout),
        option::of(memory),
        option::of(cpu),
        extra(),
    )
        .prop_map(|(timeout, memory_limit, cpu_limit, extra)| RuntimeSpec {
            timeout,
            memory_limit,
            cpu_limit,
            extra,
        })
}

fn spec() -> impl Strategy<Value = AgentSpec> {
    let entrypoint = "[a-z0-9_]{1,6}/[a-z0-9_-]{1,6}[.](py|rs)";
    let sandbox = (option::of(text()), extra())
        .prop_map(|(template_id, extra)| SandboxSpec { template_id, extra });
    (
        entrypoint,
        option::of(runtime()),
        option::of(sandbox),
        extra(),
    )
        .prop_map(|(entrypoint, runtime, sandbox, extra)| AgentSpec {
            runtime,
            sandbox,
            extra,
            ..AgentSpec::new(entrypoint).unwrap()
        })
}

fn status() -> impl Strategy<Value = AgentStatus> {
    let phase = prop_oneof![
        Just(DeploymentPhase::Pending),
        Just(DeploymentPhase::Failed)
    ];
    (
        option::of(phase),
        option::of(text()),
        option::of(time()),
        option::of(text()),
        extra(),
    )
        .prop_map(
            |(phase, template_id, last_deployed, build_id, extra)| AgentStatus {
                phase,
                template_id,
                last_deployed,
                build_id,
                extra,
            },
        )
}

proptest! {
    #[test]
    fn written_documents_are_read(
        metadata in metadata(),
        spec in spec(),
        status in option::of(status()),
        extra in extra(),
    ) {
        let config = AgentConfig { status, extra, ..AgentConfig::new(metadata, spec) };
        let yaml = config.to_yaml().unwrap();
        let read = AgentConfig::from_yaml(&yaml).map_err(|error| format!("{error} in\n{yaml}"));
        prop_assert_eq!(read, Ok(config.clone()));
        prop_assert_eq!(AgentConfig::from_json(&config.to_json().unwrap()), Ok(config));
    }

    #[test]
    fn reading_does_not_panic(text in "(metadata|spec|name|: |\\n|  |- |&a |\\*a |\\PC){0,24}") {
        let _ = AgentConfig::from_yaml(&text);
        let _ = AgentConfig::from_json(&text);
    }
}
