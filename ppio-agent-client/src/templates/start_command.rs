//! The command that starts the agent of a template.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::agent_template::document;
use crate::platform::Template;

/// The time limit of an agent's start, unless the agent's template sets another limit.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The command that starts a template's agent, and the time limit of the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartCommand {
    /// The time limit for the agent to become healthy.
    pub(crate) start_timeout: Duration,
    /// The Python file to run; `None` if the template starts its agent itself.
    pub(crate) python_file: Option<String>,
}

impl StartCommand {
    /// Reads the template's document; returns the defaults if the template is not listed (because
    /// it belongs to another team).
    pub(crate) fn of(template: Option<&Template>) -> Self {
        let document = template.and_then(|template| document(&template.metadata));
        let document = document.unwrap_or_default();
        let seconds = document
            .pointer("/spec/runtime/timeout")
            .and_then(Value::as_u64);
        let entrypoint = document.pointer("/spec/entrypoint").and_then(Value::as_str);
        Self {
            start_timeout: seconds
                .filter(|&seconds| seconds > 0)
                .map_or(START_TIMEOUT, Duration::from_secs),
            python_file: entrypoint
                .filter(|file| {
                    Path::new(file)
                        .extension()
                        .is_some_and(|extension| extension == "py")
                })
                .map(str::to_owned),
        }
    }

    /// The shell command that starts the agent, if the client has to start it.
    pub(crate) fn command_line(&self) -> Option<String> {
        let file = self.python_file.as_ref()?;
        // Between single quotes, only the single quote is special.
        let quoted = file.replace('\'', r"'\''");
        Some(format!("cd /app && exec sudo -E python '{quoted}'"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start_command(spec: &Value) -> StartCommand {
        let document = json!({ "spec": spec }).to_string();
        let template: Template = serde_json::from_value(
            json!({ "templateID": "t", "metadata": { "agent_runtime": document } }),
        )
        .expect("well formed");
        StartCommand::of(Some(&template))
    }

    #[test]
    fn only_a_python_file_is_started_by_the_client() {
        let python =
            start_command(&json!({ "entrypoint": "src/it's.py", "runtime": { "timeout": 5 } }));
        assert_eq!(python.start_timeout, Duration::from_secs(5));
        assert_eq!(
            python.command_line().as_deref(),
            Some(r"cd /app && exec sudo -E python 'src/it'\''s.py'")
        );
        for spec in [
            json!({}),
            json!({ "entrypoint": "" }),
            json!({ "entrypoint": "src/main.rs" }),
        ] {
            assert_eq!(start_command(&spec).command_line(), None);
        }
        assert_eq!(StartCommand::of(None).start_timeout, START_TIMEOUT);
    }
}
