//! Reads and writes the document as YAML, the format of `agent.yaml`.

mod writer;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

use super::agent_config::AgentConfig;
use super::agent_config_error::AgentConfigError;
use super::entrypoint::Entrypoint;

impl AgentConfig {
    /// Reads the document from YAML. Unlike [`from_json`](Self::from_json), this requires
    /// `spec.entrypoint`.
    ///
    /// Do not read YAML from untrusted senders: the YAML library takes quadratic time over deeply
    /// nested text. Read their documents as JSON.
    ///
    /// ```
    /// use ppio_agent_protocol::AgentConfig;
    ///
    /// let error = AgentConfig::from_yaml("
    /// metadata:
    ///   name: My Agent
    /// ").unwrap_err();
    /// assert_eq!(error.path(), Some("metadata.name"));
    /// assert_eq!((error.line(), error.column()), (Some(3), Some(9)));
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not YAML, a required field is missing, or a value is invalid.
    pub fn from_yaml(text: &str) -> Result<Self, AgentConfigError> {
        let config: Self = read(text)?;
        if config.spec.entrypoint.is_none() {
            // Reads again with a required entrypoint, for an error with the position.
            read::<RequiresEntrypoint>(text)?;
        }
        Ok(config)
    }

    /// Writes the document as YAML. Readers of YAML 1.1, such as `PyYAML`, read the same values.
    ///
    /// # Errors
    ///
    /// None for a document that was read or created with the constructors of this crate.
    pub fn to_yaml(&self) -> Result<String, AgentConfigError> {
        serde_yaml::to_value(self)
            .map(|document| writer::document(&document))
            .map_err(|error| config_error(None, &error))
    }
}

/// The field that `agent.yaml` requires and a template's document does not.
#[derive(Deserialize)]
struct RequiresEntrypoint {
    #[serde(rename = "spec")]
    _spec: SpecWithEntrypoint,
}

#[derive(Deserialize)]
struct SpecWithEntrypoint {
    #[serde(rename = "entrypoint")]
    _entrypoint: Entrypoint,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, AgentConfigError> {
    let document = serde_yaml::Deserializer::from_str(text);
    serde_path_to_error::deserialize(document)
        .map_err(|error| config_error(Some(error.path()), error.inner()))
}

fn config_error(path: Option<&Path>, error: &serde_yaml::Error) -> AgentConfigError {
    let (line, column) = error
        .location()
        .map_or((0, 0), |location| (location.line(), location.column()));
    AgentConfigError::new(path, line, column, &error.to_string())
}

#[cfg(test)]
mod tests;
