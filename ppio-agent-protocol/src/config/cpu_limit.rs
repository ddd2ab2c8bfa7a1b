//! The field `spec.runtime.cpu_limit`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::text::{self, excerpt};

/// The processors of a sandbox, in thousandths: `1`, `0.5` or `500m`, as Kubernetes writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuLimit(NonZeroU32);

/// An error from parsing a [`CpuLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number of processors above zero, write one such as `1`, `0.5` or `500m`")]
pub struct InvalidCpuLimit(String);

impl CpuLimit {
    /// Returns the limit in thousandths of a processor.
    pub fn millicores(self) -> u32 {
        self.0.get()
    }

    /// Returns the limit in processors, rounded up: the `cpuCount` of the control plane.
    pub fn cpu_count(self) -> u32 {
        self.millicores().div_ceil(1000)
    }
}

impl FromStr for CpuLimit {
    type Err = InvalidCpuLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        millicores(text.trim())
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or_else(|| InvalidCpuLimit(excerpt(text)))
    }
}

/// Parses a number of processors into thousandths, without floating point: `0.001` is 1, and a
/// fourth decimal is an error.
fn millicores(text: &str) -> Option<u32> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if plain {
            digits.parse::<u32>().ok()
        } else {
            None
        }
    };
    if let Some(thousandths) = text.strip_suffix('m') {
        return number(thousandths);
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    if decimals.len() > 3 {
        return None;
    }
    let thousandths = number(&format!("{decimals:0<3}")).filter(|_| !decimals.is_empty())?;
    number(whole)?.checked_mul(1000)?.checked_add(thousandths)
}

impl fmt::Display for CpuLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.millicores() {
            whole if whole.is_multiple_of(1000) => write!(f, "{}", whole / 1000),
            part => write!(f, "{part}m"),
        }
    }
}

text::try_from_text!(CpuLimit);

impl Serialize for CpuLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a text, or a number without quotes.
impl<'de> Deserialize<'de> for CpuLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CpuLimitVisitor;

        impl Visitor<'_> for CpuLimitVisitor {
            type Value = CpuLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of processors such as `1` or `500m`")
            }

            fn visit_u64<E: de::Error>(self, cores: u64) -> Result<CpuLimit, E> {
                self.visit_str(&cores.to_string())
            }

            fn visit_f64<E: de::Error>(self, cores: f64) -> Result<CpuLimit, E> {
                if cores.is_finite() {
                    self.visit_str(&cores.to_string())
                } else {
                    Err(E::invalid_value(Unexpected::Float(cores), &self))
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CpuLimit, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(CpuLimitVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_displays_processors() {
        for (text, millicores, count, written) in [
            ("1", 1000, 1, "1"),
            ("1000m", 1000, 1, "1"),
            ("500m", 500, 1, "500m"),
            ("0.5", 500, 1, "500m"),
            ("1.25", 1250, 2, "1250m"),
            ("1500m", 1500, 2, "1500m"),
            ("0.001", 1, 1, "1m"),
            (" 2 ", 2000, 2, "2"),
            ("4294967", 4_294_967_000, 4_294_967, "4294967"),
        ] {
            let limit: CpuLimit = text.parse().unwrap();
            assert_eq!(
                (limit.millicores(), limit.cpu_count()),
                (millicores, count),
                "{text:?}"
            );
            assert_eq!(limit.to_string(), written);
            assert_eq!(written.parse(), Ok(limit));
        }
        let huge = "9".repeat(1 << 20);
        for text in [
            "",
            "0",
            "0m",
            "0.0",
            "m",
            ".",
            ".5",
            "1.",
            "-1",
            "+1",
            "1.0001",
            "1.5m",
            "1 m",
            "1e3",
            "one",
            "１",
            "4294968",
            "1.+5",
            huge.as_str(),
        ] {
            let error = text.parse::<CpuLimit>().unwrap_err().to_string();
            assert!(error.len() < 400, "{error}");
        }
        for (text, millicores) in [("2", 2000), ("0.5", 500), ("\"250m\"", 250)] {
            assert_eq!(
                serde_json::from_str::<CpuLimit>(text).unwrap().millicores(),
                millicores
            );
        }
        for text in ["0", "-1", "0.0001", "null", "[1]"] {
            assert!(serde_json::from_str::<CpuLimit>(text).is_err(), "{text}");
        }
    }
}
