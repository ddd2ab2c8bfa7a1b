//! The body of `GET /ping`, the health check.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::text;

/// The status of an agent.
///
/// Reading is lenient, because agents write the two statuses in several ways: case, white space,
/// `-` and `_` are ignored, and there are synonyms.
///
/// | read | status |
/// | --- | --- |
/// | `Healthy`, `ok`, `up` | [`Healthy`](Self::Healthy) |
/// | `HealthyBusy`, `busy`, `working` | [`HealthyBusy`](Self::HealthyBusy) |
///
/// ```
/// use ppio_agent_protocol::PingStatus;
///
/// assert_eq!("OK".parse(), Ok(PingStatus::Healthy));
/// assert_eq!("healthy_busy".parse(), Ok(PingStatus::HealthyBusy));
/// assert!("on fire".parse::<PingStatus>().is_err());
/// assert_eq!(PingStatus::HealthyBusy.to_string(), "HealthyBusy");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PingStatus {
    /// The agent is ready for requests and has no background work.
    #[default]
    Healthy,
    /// The agent is ready for requests and has background work, so that the platform keeps the
    /// sandbox.
    HealthyBusy,
}

/// An error from parsing a [`PingStatus`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a ping status, write `Healthy` or `HealthyBusy`")]
pub struct InvalidPingStatus(String);

impl PingStatus {
    /// Returns the text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::HealthyBusy => "HealthyBusy",
        }
    }
}

impl fmt::Display for PingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PingStatus {
    type Err = InvalidPingStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match word.as_str() {
            "healthy" | "ok" | "up" => Ok(Self::Healthy),
            "healthybusy" | "busy" | "working" => Ok(Self::HealthyBusy),
            _ => Err(InvalidPingStatus(text::excerpt(text))),
        }
    }
}

impl Serialize for PingStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PingStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, "a ping status such as \"Healthy\"")
    }
}

/// The body of `GET /ping`.
///
/// The PPIO runtime writes `status`, `message` and `timestamp`; Amazon Bedrock `AgentCore` reads
/// `time_of_last_update`. An agent may write other fields as well.
///
/// ```
/// use ppio_agent_protocol::{PingResponse, PingStatus};
///
/// let ping: PingResponse = serde_json::from_str(r#"{"status": "busy", "queue": 3}"#)?;
/// assert_eq!(ping.status, PingStatus::HealthyBusy);
/// assert_eq!(ping.extra["queue"], 3);
///
/// let ping = PingResponse::new(PingStatus::Healthy);
/// assert_eq!(serde_json::to_string(&ping)?, r#"{"status":"Healthy"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PingResponse {
    /// The status of the agent.
    pub status: PingStatus,
    /// A description of the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the response was created, in ISO 8601.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// When the status last changed, in whole seconds since the Unix epoch. A fraction is
    /// truncated.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "unix_seconds"
    )]
    pub time_of_last_update: Option<u64>,
    /// Fields that this version does not define.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl PingResponse {
    /// Creates a response with a status.
    pub fn new(status: PingStatus) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// Sets the description of the status.
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets when the response was created, in ISO 8601.
    pub fn with_timestamp(mut self, timestamp: impl Into<String>) -> Self {
        self.timestamp = Some(timestamp.into());
        self
    }

    /// Sets when the status last changed, in seconds since the Unix epoch.
    pub fn with_time_of_last_update(mut self, seconds: u64) -> Self {
        self.time_of_last_update = Some(seconds);
        self
    }
}

impl From<PingStatus> for PingResponse {
    fn from(status: PingStatus) -> Self {
        Self::new(status)
    }
}

/// Reads seconds since the Unix epoch, with a fraction as well: `time.time()` of Python is a float.
fn unix_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct SecondsVisitor;

    impl Visitor<'_> for SecondsVisitor {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("seconds since the Unix epoch")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_u64<E>(self, seconds: u64) -> Result<Self::Value, E> {
            Ok(Some(seconds))
        }

        fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
            u64::try_from(seconds)
                .map(Some)
                .map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))
        }

        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, and NaN fails the comparison"
        )]
        fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
            if seconds >= 0.0 {
                Ok(Some(seconds as u64))
            } else {
                Err(E::invalid_value(de::Unexpected::Float(seconds), &self))
            }
        }
    }

    deserializer.deserialize_any(SecondsVisitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_synonym() {
        for (text, status) in [
            ("Healthy", PingStatus::Healthy),
            ("healthy", PingStatus::Healthy),
            (" ok\n", PingStatus::Healthy),
            ("UP", PingStatus::Healthy),
            ("HealthyBusy", PingStatus::HealthyBusy),
            ("HEALTHY_BUSY", PingStatus::HealthyBusy),
            ("healthy-busy", PingStatus::HealthyBusy),
            ("busy", PingStatus::HealthyBusy),
            ("Working", PingStatus::HealthyBusy),
        ] {
            assert_eq!(text.parse(), Ok(status), "{text:?}");
        }
    }

    #[test]
    fn rejects_everything_else() {
        for text in ["", "unhealthy", "healthy!", "Ｈealthy", "健康", "0"] {
            assert!(text.parse::<PingStatus>().is_err(), "{text:?}");
        }
        let huge = "x".repeat(1 << 20);
        let error = huge.parse::<PingStatus>().unwrap_err().to_string();
        assert!(error.len() < 300, "the error repeats the whole input");
    }

    #[test]
    fn reads_both_runtimes() {
        let ppio: PingResponse = serde_json::from_str(
            r#"{"status":"Healthy","message":null,"timestamp":"2024-01-15T10:30:00Z"}"#,
        )
        .unwrap();
        assert_eq!(ppio.timestamp.as_deref(), Some("2024-01-15T10:30:00Z"));
        let agent_core: PingResponse =
            serde_json::from_str(r#"{"status":"HealthyBusy","time_of_last_update":1700000000.7}"#)
                .unwrap();
        assert_eq!(agent_core.time_of_last_update, Some(1_700_000_000));
        let none: PingResponse =
            serde_json::from_str(r#"{"status":"ok","time_of_last_update":null}"#).unwrap();
        assert_eq!(none, PingResponse::new(PingStatus::Healthy));
    }

    #[test]
    fn rejects_responses_without_status_or_before_the_epoch() {
        for text in [
            "{}",
            r#"{"status":null}"#,
            r#"{"status":1}"#,
            r#"{"status":"ok","time_of_last_update":-1}"#,
            r#"{"status":"ok","time_of_last_update":-0.5}"#,
            r#"{"status":"ok","time_of_last_update":"now"}"#,
        ] {
            assert!(
                serde_json::from_str::<PingResponse>(text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn keeps_unknown_fields() {
        let text = r#"{"status":"Healthy","message":"fine","gpu":{"free":2}}"#;
        let ping: PingResponse = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&ping).unwrap(), text);
    }
}
