//! The field `spec.runtime.timeout`.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// How long an agent may take to start: 1 to 3600 whole seconds, as in the PPIO Python package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartTimeout(NonZeroU16);

/// An error from creating a [`StartTimeout`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} seconds is not a start timeout, use 1 to {max} whole seconds", max = StartTimeout::MAX_SECONDS)]
pub struct InvalidStartTimeout(String);

impl StartTimeout {
    /// The longest timeout, in seconds: one hour.
    pub const MAX_SECONDS: u16 = 3600;

    /// Creates a timeout from a number of seconds.
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
            .ok_or_else(|| InvalidStartTimeout(seconds.to_string()))
    }

    /// Returns the timeout in seconds.
    pub fn as_secs(self) -> u64 {
        self.0.get().into()
    }

    /// Returns the timeout as a duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs())
    }
}

/// Implements the conversion of a number of seconds for types of integers. The list includes `i32`,
/// the type of an integer literal without a suffix.
macro_rules! try_from_seconds {
    ($($integer:ty),*) => {$(
        impl TryFrom<$integer> for StartTimeout {
            type Error = InvalidStartTimeout;

            fn try_from(seconds: $integer) -> Result<Self, Self::Error> {
                match u64::try_from(seconds) {
                    Ok(seconds) => Self::from_secs(seconds),
                    Err(_) => Err(InvalidStartTimeout(seconds.to_string())),
                }
            }
        }
    )*};
}

try_from_seconds!(i32, i64, u16, u32, u64, usize);

/// Accepts whole seconds only.
impl TryFrom<Duration> for StartTimeout {
    type Error = InvalidStartTimeout;

    fn try_from(timeout: Duration) -> Result<Self, Self::Error> {
        if timeout.subsec_nanos() == 0 {
            Self::from_secs(timeout.as_secs())
        } else {
            Err(InvalidStartTimeout(timeout.as_secs_f64().to_string()))
        }
    }
}

impl Serialize for StartTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0.get())
    }
}

impl<'de> Deserialize<'de> for StartTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StartTimeoutVisitor;

        impl Visitor<'_> for StartTimeoutVisitor {
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
                    Err(_) => Err(E::custom(InvalidStartTimeout(seconds.to_string()))),
                }
            }
        }

        deserializer.deserialize_any(StartTimeoutVisitor)
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
        assert_eq!(StartTimeout::try_from(60), StartTimeout::from_secs(60));
        assert!(StartTimeout::try_from(-1_i64).is_err());
        let minute = Duration::from_secs(60);
        assert_eq!(StartTimeout::try_from(minute), StartTimeout::from_secs(60));
        let error = StartTimeout::try_from(Duration::from_millis(1500)).unwrap_err();
        assert!(error.to_string().starts_with("1.5 seconds "), "{error}");
        for text in ["0", "-1", "3601", "60.5", "\"60\"", "null", "true", "1e400"] {
            assert!(
                serde_json::from_str::<StartTimeout>(text).is_err(),
                "{text}"
            );
        }
    }
}
