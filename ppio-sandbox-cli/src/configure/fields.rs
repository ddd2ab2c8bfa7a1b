//! The values of agent.yaml that a person decides, and what each of them may be.

use ppio_agent_protocol::{
    AgentName, AuthorEmail, CpuLimit, Entrypoint, MemoryLimit, StartTimeout,
};

use crate::project::edit::{Change, Scalar};

/// One value.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) path: &'static [&'static str],
    /// The flag that gives it, without dashes.
    pub(crate) flag: &'static str,
    pub(crate) question: &'static str,
    /// An agent cannot be without it.
    pub(crate) required: bool,
    pub(crate) check: fn(&str) -> Result<(), String>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Number,
}

/// All of them, in the order of the file.
pub(crate) const FIELDS: [Field; 8] = [
    Field {
        path: &["metadata", "name"],
        flag: "name",
        question: "Name",
        required: true,
        check: |text| valid::<AgentName>(text),
        kind: Kind::Text,
    },
    Field {
        path: &["metadata", "version"],
        flag: "agent-version",
        question: "Version",
        required: true,
        check: |text| {
            if text.is_empty() {
                return Err("the version is empty, write one such as 1.0.0".to_owned());
            }
            Ok(())
        },
        kind: Kind::Text,
    },
    Field {
        path: &["metadata", "author"],
        flag: "author",
        question: "Author's e-mail address",
        required: true,
        check: |text| valid::<AuthorEmail>(text),
        kind: Kind::Text,
    },
    Field {
        path: &["metadata", "description"],
        flag: "description",
        question: "Description",
        required: false,
        check: |_| Ok(()),
        kind: Kind::Text,
    },
    Field {
        path: &["spec", "entrypoint"],
        flag: "entrypoint",
        question: "File with the entrypoint",
        required: true,
        check: |text| valid::<Entrypoint>(text),
        kind: Kind::Text,
    },
    Field {
        path: &["spec", "runtime", "timeout"],
        flag: "timeout",
        question: "Seconds that a start may take",
        required: false,
        check: |text| {
            let seconds = text
                .parse()
                .map_err(|_| "a whole number of seconds is wanted".to_owned());
            StartTimeout::from_secs(seconds?)
                .map(drop)
                .map_err(|error| error.to_string())
        },
        kind: Kind::Number,
    },
    Field {
        path: &["spec", "runtime", "memory_limit"],
        flag: "memory",
        question: "Memory, as in 512Mi",
        required: false,
        check: |text| valid::<MemoryLimit>(text),
        kind: Kind::Text,
    },
    Field {
        path: &["spec", "runtime", "cpu_limit"],
        flag: "cpu",
        question: "Processors, as in 1 or 500m",
        required: false,
        check: |text| valid::<CpuLimit>(text),
        kind: Kind::Text,
    },
];

impl Field {
    /// Sets it to a value that passed the check.
    pub(crate) fn change(&self, value: &str) -> Change {
        let number = match self.kind {
            Kind::Number => value.parse().ok(),
            Kind::Text => None,
        };
        Change {
            path: self.path,
            value: number.map_or_else(|| Scalar::Text(value.to_owned()), Scalar::Number),
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
