//! What has to be done before a template's agent answers.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::agent_template::document;
use crate::platform::Template;

/// How long an agent may take to start where its template does not say.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How a template's agent is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartCommand {
    /// How long it may take until it is healthy.
    pub(crate) start_timeout: Duration,
    /// The Python file to run. A template without one runs its own start command.
    pub(crate) python_file: Option<String>,
}

impl StartCommand {
    /// What the template says; the defaults for a template that is not listed (another team's).
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

    /// The shell line that starts the agent, if it has to be started from outside.
    pub(crate) fn command_line(&self) -> Option<String> {
        let file = self.python_file.as_ref()?;
        // The only character that means something between single quotes is the single quote.
        let quoted = file.replace('\'', r"'\''");
        Some(format!("cd /app && exec sudo -E python '{quoted}'"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn launch(spec: &Value) -> StartCommand {
        let document = json!({ "spec": spec }).to_string();
        let template: Template = serde_json::from_value(
            json!({ "templateID": "t", "metadata": { "agent_runtime": document } }),
        )
        .expect("well formed");
        StartCommand::of(Some(&template))
    }

    #[test]
    fn only_a_python_file_is_started_from_outside() {
        let python = launch(&json!({ "entrypoint": "src/it's.py", "runtime": { "timeout": 5 } }));
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
            assert_eq!(launch(&spec).command_line(), None);
        }
        assert_eq!(StartCommand::of(None).start_timeout, START_TIMEOUT);
    }
}
