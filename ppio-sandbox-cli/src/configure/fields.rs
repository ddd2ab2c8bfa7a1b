//! The values of agent.yaml that `agent configure` sets, except the tags, and their checks.

use ppio_agent_protocol::{
    AgentName, AuthorEmail, CpuLimit, Entrypoint, MemoryLimit, StartTimeout,
};

use crate::project::edit::{Edit, NewValue};

/// A value of agent.yaml with its flag, question and check.
#[derive(Debug)]
pub(crate) struct ConfigField {
    pub(crate) path: &'static [&'static str],
    /// The name of the flag, without the leading `--`.
    pub(crate) flag: &'static str,
    pub(crate) question: &'static str,
    /// Whether agent.yaml is invalid without the value.
    pub(crate) required: bool,
    pub(crate) check: fn(&str) -> Result<(), String>,
    kind: FieldKind,
}

#[derive(Debug)]
enum FieldKind {
    Text,
    Number,
}

/// The fields, in their order in agent.yaml.
pub(crate) const CONFIG_FIELDS: [ConfigField; 8] = [
    ConfigField {
        path: &["metadata", "name"],
        flag: "name",
        question: "Name",
        required: true,
        check: |text| valid::<AgentName>(text),
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["metadata", "version"],
        flag: "agent-version",
        question: "Version",
        required: true,
        check: |text| {
            if text.is_empty() {
                return Err("the version is empty; write one such as 1.0.0".to_owned());
            }
            Ok(())
        },
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["metadata", "author"],
        flag: "author",
        question: "Author's e-mail address",
        required: true,
        check: |text| valid::<AuthorEmail>(text),
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["metadata", "description"],
        flag: "description",
        question: "Description",
        required: false,
        check: |_| Ok(()),
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["spec", "entrypoint"],
        flag: "entrypoint",
        question: "File with the entrypoint",
        required: true,
        check: |text| valid::<Entrypoint>(text),
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["spec", "runtime", "timeout"],
        flag: "timeout",
        question: "Start timeout in seconds",
        required: false,
        check: |text| {
            let seconds = text
                .parse()
                .map_err(|_| "not a whole number of seconds".to_owned());
            StartTimeout::from_secs(seconds?)
                .map(drop)
                .map_err(|error| error.to_string())
        },
        kind: FieldKind::Number,
    },
    ConfigField {
        path: &["spec", "runtime", "memory_limit"],
        flag: "memory",
        question: "Memory, as in 512Mi",
        required: false,
        check: |text| valid::<MemoryLimit>(text),
        kind: FieldKind::Text,
    },
    ConfigField {
        path: &["spec", "runtime", "cpu_limit"],
        flag: "cpu",
        question: "Processors, as in 1 or 500m",
        required: false,
        check: |text| valid::<CpuLimit>(text),
        kind: FieldKind::Text,
    },
];

impl ConfigField {
    /// Returns the edit that sets the field to a value that passed the check.
    pub(crate) fn change(&self, value: &str) -> Edit {
        let number = match self.kind {
            FieldKind::Number => value.parse().ok(),
            FieldKind::Text => None,
        };
        Edit {
            path: self.path,
            value: number.map_or_else(|| NewValue::Text(value.to_owned()), NewValue::Number),
        }
    }
}

fn valid<T>(text: &str) -> Result<(), String>
where
    T: std::str::FromStr<Err: ToString>,
{
    text.parse::<T>()
        .map(drop)
        .map_err(|error| error.to_string())
}
