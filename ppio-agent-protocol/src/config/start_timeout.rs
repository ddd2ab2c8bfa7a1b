//! `spec.runtime.timeout`.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// How long an agent may take to start: 1 to 3600 whole seconds, as in the PPIO Python package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartTimeout(NonZeroU16);

/// An error from creating a [`StartTimeout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} seconds is out of range, use 1 to {max}", max = StartTimeout::MAX_SECONDS)]
pub struct InvalidStartTimeout(i128);

impl StartTimeout {
    /// The longest timeout, in seconds: one hour.
    pub const MAX_SECONDS: u16 = 3600;

    /// Creates a timeout of a number of seconds.
    ///
    /// # Errors
    ///
    /// If the number is not in 1 to 3600.
    pub fn from_secs(seconds: u64) -> Result<Self, InvalidStartTimeout> {
        u16::try_from(seconds)
            .ok()
            .filter(|&seconds| seconds <= Self::MAX_SECONDS)
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or(InvalidStartTimeout(seconds.into()))
    }

    /// The timeout in seconds.
    pub fn as_secs(self) -> u64 {
        self.0.get().into()
    }

    /// The timeout as a duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

impl Serialize for StartTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0.get())
    }
}

impl<'de> Deserialize<'de> for StartTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsVisitor;

        impl Visitor<'_> for SecondsVisitor {
            type Value = StartTimeout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a whole number of seconds from 1 to 3600, such as `60`, without quotes or \
                     unit",
                )
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<StartTimeout, E> {
                StartTimeout::from_secs(seconds).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<StartTimeout, E> {
                match u64::try_from(seconds) {
                    Ok(seconds) => self.visit_u64(seconds),
                    Err(_) => Err(E::custom(InvalidStartTimeout(seconds.into()))),
                }
            }
        }

        deserializer.deserialize_any(SecondsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_second_to_one_hour() {
        for seconds in [1, 60, 3600] {
            assert_eq!(StartTimeout::from_secs(seconds).unwrap().as_secs(), seconds);
        }
        for seconds in [0, 3601, 65_537, u64::MAX] {
            assert!(StartTimeout::from_secs(seconds).is_err(), "{seconds}");
        }
        for text in ["0", "-1", "3601", "60.5", "\"60\"", "null", "true", "1e400"] {
            assert!(
                serde_json::from_str::<StartTimeout>(text).is_err(),
                "{text}"
            );
        }
    }
}
