//! Reads and writes the document as JSON, the format of the platform.

use serde_json::{Map, Value};
use serde_path_to_error::Path;

use super::agent_config::AgentConfig;
use super::agent_config_error::AgentConfigError;

/// The key of a template's metadata whose value is the document, as a JSON text.
pub const TEMPLATE_METADATA_KEY: &str = "agent_runtime";

/// The key that other tools use in a template's metadata, whose value is the document as an object.
const OTHER_METADATA_KEY: &str = "agent";

impl AgentConfig {
    /// Reads the document from JSON. `spec.entrypoint` is optional: a template with a start command
    /// of its own has none.
    ///
    /// # Errors
    ///
    /// If the text is not JSON, a required field is missing, or a value is invalid.
    pub fn from_json(text: &str) -> Result<Self, AgentConfigError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let config = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| config_error(Some(error.path()), error.inner()))?;
        deserializer
            .end()
            .map_err(|error| config_error(None, &error))?;
        Ok(config)
    }

    /// Writes the document as JSON on one line, for [`TEMPLATE_METADATA_KEY`].
    ///
    /// # Errors
    ///
    /// None for a document that was read or created with the constructors of this crate.
    pub fn to_json(&self) -> Result<String, AgentConfigError> {
        serde_json::to_string(self).map_err(|error| config_error(None, &error))
    }

    /// Reads the document from a template's metadata: from the key [`TEMPLATE_METADATA_KEY`], or
    /// from the key `agent` of other tools; as a JSON text or as an object. `None` if the template
    /// is not an agent's.
    ///
    /// ```
    /// use ppio_agent_protocol::AgentConfig;
    /// use serde_json::{Map, json};
    ///
    /// let document = r#"{
    ///     "metadata": {"name": "a", "version": "1", "author": "a@b.cn"},
    ///     "spec": {}
    /// }"#;
    /// let metadata = Map::from_iter([("agent_runtime".to_owned(), json!(document))]);
    /// let config = AgentConfig::from_template_metadata(&metadata)?.unwrap();
    /// assert_eq!(config.metadata.name.as_str(), "a");
    /// assert_eq!(config.spec.entrypoint, None);
    /// assert_eq!(AgentConfig::from_template_metadata(&Map::new())?, None);
    /// # Ok::<(), ppio_agent_protocol::AgentConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`from_json`](Self::from_json).
    pub fn from_template_metadata(
        metadata: &Map<String, Value>,
    ) -> Result<Option<Self>, AgentConfigError> {
        let keys = [TEMPLATE_METADATA_KEY, OTHER_METADATA_KEY];
        let document = keys
            .iter()
            .find_map(|&key| metadata.get(key).filter(|value| !value.is_null()));
        match document {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Self::from_json(text).map(Some),
            Some(value) => serde_path_to_error::deserialize(value)
                .map(Some)
                .map_err(|error| config_error(Some(error.path()), error.inner())),
        }
    }
}

fn config_error(path: Option<&Path>, error: &serde_json::Error) -> AgentConfigError {
    AgentConfigError::new(path, error.line(), error.column(), &error.to_string())
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
                "phase": "deployed", "template_id": "tmpl_abc123", "build_id": "build_xyz789",
                "last_deployed": "2024-01-15T11:00:00Z", "by": "ci",
            },
        })
    }

    #[test]
    fn reads_and_writes_every_field_and_keeps_unknown_ones() {
        let config = AgentConfig::from_json(&document().to_string()).unwrap();
        assert_eq!(config.extra["x-top"], 1);
        assert_eq!(serde_json::to_value(&config).unwrap(), document());
        assert_eq!(
            AgentConfig::from_json(&config.to_json().unwrap()).unwrap(),
            config
        );
    }

    #[test]
    fn requires_four_fields_and_writes_no_other() {
        let least =
            json!({"metadata": {"name": "a", "version": "1", "author": "a@b.c"}, "spec": {}});
        let config = AgentConfig::from_json(&least.to_string()).unwrap();
        assert_eq!(
            serde_json::to_value(&config).unwrap(),
            json!({"apiVersion": "v1", "kind": "Agent", "metadata": least["metadata"], "spec": {}})
        );
    }

    #[test]
    fn reads_a_blank_entrypoint_as_none() {
        for entrypoint in [json!(null), json!(""), json!(" ")] {
            let mut document = document();
            document["spec"]["entrypoint"] = entrypoint;
            let config = AgentConfig::from_json(&document.to_string()).unwrap();
            assert_eq!(config.spec.entrypoint, None);
        }
    }

    #[test]
    fn errors_name_the_field() {
        for (pointer, value, path) in [
            ("/apiVersion", json!("v2"), "apiVersion"),
            ("/kind", json!("agent"), "kind"),
            ("/metadata", json!(null), "metadata"),
            ("/metadata/name", json!("My_Agent"), "metadata.name"),
            ("/metadata/name", json!(null), "metadata.name"),
            ("/metadata/created", json!("yesterday"), "metadata.created"),
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
            ("/status/phase", json!("archived"), "status.phase"),
            (
                "/status/last_deployed",
                json!("now"),
                "status.last_deployed",
            ),
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
    fn errors_show_a_missing_field() {
        let error =
            AgentConfig::from_json(r#"{"metadata": {"name": "a", "version": "1"}, "spec": {}}"#)
                .unwrap_err();
        assert_eq!(error.path(), Some("metadata.author"));
        assert_eq!(
            error.to_string(),
            "metadata.author (line 1, column 42): the field is missing, \
             add `author: developer@example.com`"
        );
        let error = AgentConfig::from_json("{}").unwrap_err();
        assert_eq!(error.path(), Some("metadata"), "{error}");
    }

    #[test]
    fn rejects_text_that_is_not_json() {
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
    fn finds_the_document_in_template_metadata() {
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
