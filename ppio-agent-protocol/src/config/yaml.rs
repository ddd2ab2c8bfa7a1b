//! The document as YAML: how its author keeps it. The only place that knows the YAML library.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::Path;

use super::{AgentConfig, ConfigError, Entrypoint};

impl AgentConfig {
    /// Reads `agent.yaml`. Stricter than [`from_json`](Self::from_json): `spec.entrypoint` must be there.
    ///
    /// For files of the reader's own: the YAML library takes quadratic time over deeply nested text, so a service
    /// that reads what strangers send should take JSON.
    ///
    /// ```
    /// use ppio_agent_protocol::AgentConfig;
    ///
    /// let error = AgentConfig::from_yaml("
    /// metadata:
    ///   name: My Agent
    /// ").unwrap_err();
    /// assert_eq!((error.path(), error.line(), error.column()), (Some("metadata.name"), Some(3), Some(9)));
    /// ```
    ///
    /// # Errors
    /// Not YAML, a required field is missing, or a value breaks its rule.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        let config: Self = read(text)?;
        if config.spec.entrypoint.is_none() {
            // Read once more where nothing but an entrypoint will do, which finds the place.
            read::<Runnable>(text)?;
        }
        Ok(config)
    }

    /// Writes `agent.yaml`.
    ///
    /// # Errors
    /// None for a document that was read or built from its types' constructors.
    pub fn to_yaml(&self) -> Result<String, ConfigError> {
        serde_yaml::to_string(self).map_err(|error| report(None, &error))
    }
}

/// What an author's document must have and a template's need not.
#[derive(Deserialize)]
struct Runnable {
    #[serde(rename = "spec")]
    _spec: RunnableSpec,
}

#[derive(Deserialize)]
struct RunnableSpec {
    #[serde(rename = "entrypoint")]
    _entrypoint: Entrypoint,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let document = serde_yaml::Deserializer::from_str(text);
    serde_path_to_error::deserialize(document)
        .map_err(|error| report(Some(error.path()), error.inner()))
}

fn report(path: Option<&Path>, error: &serde_yaml::Error) -> ConfigError {
    let (line, column) = error
        .location()
        .map_or((0, 0), |place| (place.line(), place.column()));
    ConfigError::new(path, line, column, &error.to_string())
}

#[cfg(test)]
mod tests;
