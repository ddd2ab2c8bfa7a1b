//! The fields `apiVersion` and `kind`.

use std::str::FromStr;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};

use crate::text;

/// The version of the document's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub enum ApiVersion {
    /// `v1`
    #[default]
    #[serde(rename = "v1")]
    V1,
}

/// The kind of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub enum DocumentKind {
    /// `Agent`
    #[default]
    Agent,
}

/// An error from parsing an [`ApiVersion`] or a [`DocumentKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not supported, write `{expected}`")]
pub struct UnsupportedDocument {
    found: String,
    expected: &'static str,
}

impl FromStr for ApiVersion {
    type Err = UnsupportedDocument;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "v1" => Ok(Self::V1),
            _ => Err(UnsupportedDocument {
                found: text::excerpt(text),
                expected: "v1",
            }),
        }
    }
}

impl FromStr for DocumentKind {
    type Err = UnsupportedDocument;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Agent" => Ok(Self::Agent),
            _ => Err(UnsupportedDocument {
                found: text::excerpt(text),
                expected: "Agent",
            }),
        }
    }
}

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "`v1`")
    }
}

impl<'de> Deserialize<'de> for DocumentKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "`Agent`")
    }
}
