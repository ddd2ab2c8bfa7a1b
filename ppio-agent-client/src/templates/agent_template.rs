//! A template of an agent.

use std::time::Duration;

use ppio_agent_protocol::AgentConfig;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::platform::Template;

/// An agent's template, with fields of its `agent.yaml`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AgentTemplate {
    /// The template's id, for [`create_session`](crate::AgentRuntimeClient::create_session).
    pub template_id: String,
    /// The agent's name; if the template has no agent, the template's first name, else its first
    /// alias, else its id.
    pub name: String,
    /// The template's aliases.
    pub aliases: Vec<String>,
    /// The agent's version; empty if the template has no agent.
    pub version: String,
    /// The agent's description.
    pub description: Option<String>,
    /// The agent's author.
    pub author: Option<String>,
    /// The template's tags, and those of the agent's metadata.
    pub tags: Vec<String>,
    /// When the template was created, in RFC 3339.
    pub created_at: Option<String>,
    /// When the template was last changed, in RFC 3339.
    pub updated_at: Option<String>,
    /// The status of the template's last build: `ready`, `building`, …
    pub status: String,
    /// The disk size of the template's sandboxes, in bytes.
    pub size: Option<u64>,
    /// How long the template's current build took; only set for a single template, not in lists.
    pub build_time: Option<Duration>,
    /// The agent's dependencies (`spec.dependencies` of its document).
    pub dependencies: Vec<String>,
    /// The size of the template's sandboxes.
    pub runtime_info: RuntimeInfo,
    /// The template's metadata, as the platform stores it.
    pub metadata: Map<String, Value>,
}

/// The size of a template's sandboxes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// The number of processors.
    pub cpu_count: Option<u32>,
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// The version of envd in the sandboxes.
    pub envd_version: Option<String>,
}

impl AgentTemplate {
    /// Returns the agent's configuration, if the template has one.
    ///
    /// # Errors
    /// [`Error::Validation`] if the configuration is not a valid `agent.yaml`.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let template = client.get_template("tmpl_1").await?;
    /// if let Some(config) = template.agent_config()? {
    ///     println!("{} by {}", config.metadata.name, config.metadata.author);
    /// }
    /// # Ok(()) });
    /// ```
    pub fn agent_config(&self) -> Result<Option<AgentConfig>, Error> {
        AgentConfig::from_template_metadata(&self.metadata).map_err(|error| {
            let field = format!("agent configuration of template {}", self.template_id);
            Error::validation(field, error.to_string())
        })
    }
}

impl From<Template> for AgentTemplate {
    fn from(template: Template) -> Self {
        let document = document(&template.metadata).unwrap_or_default();
        let text = |path: &str| Some(document.pointer(path)?.as_str()?.to_owned());
        let texts = |path: &str| -> Vec<String> {
            let list = document.pointer(path).and_then(Value::as_array);
            let texts = list.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let build_time = build_time(&template);
        let mut tags = template.tags;
        for tag in texts("/metadata/tags") {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let own_name = || template.names.first().or(template.aliases.first()).cloned();
        Self {
            name: text("/metadata/name")
                .or_else(own_name)
                .unwrap_or_else(|| template.template_id.clone()),
            version: text("/metadata/version").unwrap_or_default(),
            description: text("/metadata/description"),
            author: text("/metadata/author"),
            tags,
            aliases: template.aliases,
            created_at: template.created_at,
            updated_at: template.updated_at,
            status: template.build_status.unwrap_or_default(),
            size: template.disk_size_mb.map(bytes),
            build_time,
            dependencies: texts("/spec/dependencies"),
            runtime_info: RuntimeInfo {
                cpu_count: template.cpu_count,
                memory: template.memory_mb.map(bytes),
                envd_version: template.envd_version,
            },
            metadata: template.metadata,
            template_id: template.template_id,
        }
    }
}

fn bytes(mebibytes: u64) -> u64 {
    mebibytes.saturating_mul(1 << 20)
}

/// Returns how long the current build took.
fn build_time(template: &Template) -> Option<Duration> {
    let mut builds = template.builds.iter();
    let build = builds.find(|build| build.build_id == template.build_id)?;
    let moment = |time: &Option<String>| humantime::parse_rfc3339(time.as_deref()?).ok();
    let (began, ended) = (moment(&build.created_at)?, moment(&build.finished_at)?);
    ended.duration_since(began).ok()
}

/// The agent's document without validation: one template with an invalid e-mail address must not
/// prevent listing templates or starting its agent.
pub(super) fn document(metadata: &Map<String, Value>) -> Option<Value> {
    let found = ["agent_runtime", "agent"]
        .iter()
        .find_map(|key| metadata.get(*key))?;
    match found {
        Value::String(json) => serde_json::from_str(json).ok(),
        object => Some(object.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template(metadata: &Value) -> AgentTemplate {
        let template: Template = serde_json::from_value(json!({
            "templateID": "tmpl_1", "names": ["team/one"], "tags": ["stable"], "metadata": metadata,
            "buildStatus": "ready", "diskSizeMB": 512,
        }))
        .expect("well formed");
        template.into()
    }

    #[test]
    fn the_agent_is_read_from_both_keys_and_both_forms() {
        let document = json!({
            "apiVersion": "v1", "kind": "Agent",
            "metadata": {"name": "chat", "version": "1.0", "author": "a@b.cn", "tags": ["ai", "stable"]},
            "spec": {"entrypoint": "agent.py", "dependencies": ["torch"]},
        });
        for metadata in [
            json!({ "agent_runtime": document.to_string() }),
            json!({ "agent": document }),
        ] {
            let template = template(&metadata);
            assert_eq!(
                (template.name.as_str(), template.version.as_str()),
                ("chat", "1.0")
            );
            assert_eq!(template.tags, ["stable", "ai"]);
            assert_eq!(template.size, Some(512 << 20));
            assert_eq!(template.dependencies, ["torch"]);
            let config = template.agent_config().expect("valid").expect("there");
            assert_eq!(config.metadata.name.as_str(), "chat");
        }
    }

    #[test]
    fn the_build_time_is_that_of_the_current_build() {
        let template: Template = serde_json::from_value(json!({
            "templateID": "tmpl_1", "buildID": "b2", "cpuCount": 2, "memoryMB": 1024, "builds": [
                {"buildID": "b1", "createdAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T01:00:00Z"},
                {"buildID": "b2", "createdAt": "2026-01-02T00:00:00Z", "finishedAt": "2026-01-02T00:00:01.5Z"},
            ],
        }))
        .expect("well formed");
        let template = AgentTemplate::from(template);
        assert_eq!(template.build_time, Some(Duration::from_millis(1500)));
        assert_eq!(template.runtime_info.cpu_count, Some(2));
        assert_eq!(template.runtime_info.memory, Some(1 << 30));
    }

    #[test]
    fn a_template_without_agent_has_its_own_name_and_an_invalid_one_is_an_error() {
        let plain = template(&json!({}));
        assert_eq!(plain.name, "team/one");
        assert_eq!(plain.agent_config().expect("nothing wrong"), None);
        let broken = template(&json!({ "agent_runtime": r#"{"metadata": {"name": "NO"}}"# }));
        let error = broken.agent_config().expect_err("a bad name");
        assert!(error.to_string().contains("tmpl_1"), "{error}");
    }
}
