//! The document as JSON: how the platform keeps it.

use serde_json::{Map, Value};
use serde_path_to_error::Path;

use super::{AgentConfig, ConfigError};

/// The key of a template's metadata under which the document stands, as JSON in a text.
pub const TEMPLATE_METADATA_KEY: &str = "agent_runtime";

/// The key under which some templates hold the document, as an object.
const OLD_METADATA_KEY: &str = "agent";

impl AgentConfig {
    /// Reads the document as the platform keeps it. Lenient about `spec.entrypoint`, which templates with
    /// a start command of their own do not have.
    ///
    /// # Errors
    /// Not JSON, a required field is missing, or a value breaks its rule.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let config = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| report(Some(error.path()), error.inner()))?;
        deserializer.end().map_err(|error| report(None, &error))?;
        Ok(config)
    }

    /// Writes the document as the platform keeps it: on one line, for
    /// [`TEMPLATE_METADATA_KEY`].
    ///
    /// # Errors
    /// None for a document that was read or built from its types' constructors.
    pub fn to_json(&self) -> Result<String, ConfigError> {
        serde_json::to_string(self).map_err(|error| report(None, &error))
    }

    /// Finds and reads the document in a template's metadata: under [`TEMPLATE_METADATA_KEY`] or, as other
    /// tools write it, under `agent`; as JSON in a text or as an object. `None` if the template holds no agent.
    ///
    /// ```
    /// use ppio_agent_protocol::AgentConfig;
    /// use serde_json::{Map, json};
    ///
    /// let document = r#"{"metadata": {"name": "a", "version": "1", "author": "a@b.cn"}, "spec": {}}"#;
    /// let metadata = Map::from_iter([("agent_runtime".to_owned(), json!(document))]);
    /// let config = AgentConfig::from_template_metadata(&metadata)?.unwrap();
    /// assert_eq!(config.metadata.name.as_str(), "a");
    /// assert_eq!(config.spec.entrypoint, None);
    /// assert_eq!(AgentConfig::from_template_metadata(&Map::new())?, None);
    /// # Ok::<(), ppio_agent_protocol::ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`from_json`](Self::from_json).
    pub fn from_template_metadata(
        metadata: &Map<String, Value>,
    ) -> Result<Option<Self>, ConfigError> {
        let keys = [TEMPLATE_METADATA_KEY, OLD_METADATA_KEY];
        let document = keys
            .iter()
            .find_map(|&key| metadata.get(key).filter(|value| !value.is_null()));
        match document {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Self::from_json(text).map(Some),
            Some(value) => serde_path_to_error::deserialize(value)
                .map(Some)
                .map_err(|error| report(Some(error.path()), error.inner())),
        }
    }
}

fn report(path: Option<&Path>, error: &serde_json::Error) -> ConfigError {
    ConfigError::new(path, error.line(), error.column(), &error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Agent", "x-top": 1,
            "metadata": {
                "name": "my-langgraph-agent", "version": "1.0.0", "author": "developer@example.com",
                "description": "d", "created": "2024-01-15T10:30:00Z", "labels": {"team": "a"},
            },
            "spec": {
                "entrypoint": "agent.py", "replicas": 2,
                "runtime": {"timeout": 60, "memory_limit": "1Gi", "cpu_limit": "1", "gpu": null},
                "sandbox": {"template_id": "tmpl_abc123", "region": "cn"},
            },
            "status": {
                "phase": "deployed", "template_id": "tmpl_abc123", "last_deployed": "2024-01-15T11:00:00Z",
                "build_id": "build_xyz789", "by": "ci",
            },
        })
    }

    #[test]
    fn every_field_has_its_name_and_unknown_ones_are_kept() {
        let config = AgentConfig::from_json(&document().to_string()).unwrap();
        assert_eq!(config.extra["x-top"], 1);
        assert_eq!(serde_json::to_value(&config).unwrap(), document());
        assert_eq!(
            AgentConfig::from_json(&config.to_json().unwrap()).unwrap(),
            config
        );
    }

    #[test]
    fn only_four_fields_are_needed_and_nothing_else_is_written() {
        let least =
            json!({"metadata": {"name": "a", "version": "1", "author": "a@b.c"}, "spec": {}});
        let config = AgentConfig::from_json(&least.to_string()).unwrap();
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({"apiVersion": "v1", "kind": "Agent", "metadata": least["metadata"], "spec": {}})
        );
    }

    #[test]
    fn a_template_may_have_no_entrypoint() {
        for entrypoint in [json!(null), json!(""), json!(" ")] {
            let mut document = document();
            document["spec"]["entrypoint"] = entrypoint;
            let config = AgentConfig::from_json(&document.to_string()).unwrap();
            assert_eq!(config.spec.entrypoint, None);
        }
    }

    #[test]
    fn an_unknown_phase_is_kept() {
        let mut document = document();
        document["status"]["phase"] = json!("archived");
        let config = AgentConfig::from_json(&document.to_string()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), document);
    }

    #[test]
    fn a_mistake_is_named_by_its_field() {
        for (pointer, value, path) in [
            ("/apiVersion", json!("v2"), "apiVersion"),
            ("/kind", json!("agent"), "kind"),
            ("/metadata", json!(null), "metadata"),
            ("/metadata/name", json!("My_Agent"), "metadata.name"),
            ("/metadata/version", json!(1.0), "metadata.version"),
            ("/metadata/author", json!("me"), "metadata.author"),
            ("/spec", json!([]), "spec"),
            ("/spec/entrypoint", json!("agent.js"), "spec.entrypoint"),
            ("/spec/runtime/timeout", json!(0), "spec.runtime.timeout"),
            (
                "/spec/runtime/timeout",
                json!("60s"),
                "spec.runtime.timeout",
            ),
            (
                "/spec/runtime/memory_limit",
                json!("1.5Gi"),
                "spec.runtime.memory_limit",
            ),
            (
                "/spec/runtime/cpu_limit",
                json!("-1"),
                "spec.runtime.cpu_limit",
            ),
            (
                "/spec/sandbox/template_id",
                json!(5),
                "spec.sandbox.template_id",
            ),
            ("/status/phase", json!(1), "status.phase"),
        ] {
            let mut document = document();
            *document.pointer_mut(pointer).unwrap() = value;
            let error = AgentConfig::from_json(&document.to_string()).unwrap_err();
            assert_eq!(error.path(), Some(path), "{error}");
            assert_eq!(error.line(), Some(1), "{error}");
            assert!(!error.problem().contains(" at line "), "{error}");

            let metadata = Map::from_iter([("agent".to_owned(), document)]);
            let error = AgentConfig::from_template_metadata(&metadata).unwrap_err();
            assert_eq!((error.path(), error.line()), (Some(path), None), "{error}");
        }
    }

    #[test]
    fn a_missing_field_is_named_and_shown() {
        let error =
            AgentConfig::from_json(r#"{"metadata": {"name": "a", "version": "1"}, "spec": {}}"#)
                .unwrap_err();
        assert_eq!(error.path(), Some("metadata.author"));
        assert_eq!(
            error.to_string(),
            "metadata.author (line 1, column 42): the field is missing, add `author: developer@example.com`"
        );
        let error = AgentConfig::from_json("{}").unwrap_err();
        assert_eq!(error.path(), Some("metadata"), "{error}");
    }

    #[test]
    fn text_that_is_no_json() {
        let deep = "[".repeat(100_000);
        let twice = format!("{0}{0}", document());
        for text in [
            "",
            "{",
            "null",
            "[]",
            "apiVersion: v1",
            "\u{feff}{}",
            deep.as_str(),
            twice.as_str(),
        ] {
            let error = AgentConfig::from_json(text).unwrap_err();
            assert_eq!(error.path(), None, "{error}");
            assert!(
                error.line() >= Some(1) && error.column() >= Some(1),
                "{error}"
            );
        }
    }

    #[test]
    fn templates_hold_it_in_three_ways_or_not_at_all() {
        let config = AgentConfig::from_json(&document().to_string()).unwrap();
        for (key, value, found) in [
            ("agent_runtime", json!(document().to_string()), true),
            ("agent_runtime", document(), true),
            ("agent", document(), true),
            ("agent_runtime", json!(null), false),
            ("agent_runtime", json!(""), false),
            ("other", document(), false),
        ] {
            let metadata = Map::from_iter([(key.to_owned(), value)]);
            let read = AgentConfig::from_template_metadata(&metadata).unwrap();
            assert_eq!(read, found.then(|| config.clone()), "{metadata:?}");
        }
        let metadata = Map::from_iter([(TEMPLATE_METADATA_KEY.to_owned(), json!("{"))]);
        assert!(AgentConfig::from_template_metadata(&metadata).is_err());
    }
}
