//! `spec.runtime`: how long, how much memory, how many processors.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::byte_size::{ByteSize, InvalidByteSize};
use crate::text::excerpt;

/// How long an agent may take to start: 1 to 3600 whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartTimeout(NonZeroU16);

/// A number of seconds that is no [`StartTimeout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} seconds is out of range, use 1 to {max}", max = StartTimeout::MAX_SECONDS)]
pub struct InvalidStartTimeout(i128);

impl StartTimeout {
    /// The longest, in seconds: one hour.
    pub const MAX_SECONDS: u16 = 3600;

    /// This many seconds.
    ///
    /// # Errors
    /// Not within 1 to 3600.
    pub fn from_secs(seconds: u64) -> Result<Self, InvalidStartTimeout> {
        u16::try_from(seconds)
            .ok()
            .filter(|&seconds| seconds <= Self::MAX_SECONDS)
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or(InvalidStartTimeout(seconds.into()))
    }

    /// The number of seconds.
    pub fn as_secs(self) -> u64 {
        self.0.get().into()
    }

    /// The same as a duration.
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
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = StartTimeout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of seconds from 1 to 3600, such as `60`, without quotes or unit")
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

        deserializer.deserialize_any(Seconds)
    }
}

/// How much memory an agent's sandbox has: a [`ByteSize`] above zero, such as `512Mi` or `1Gi`.
///
/// ```
/// use ppio_agent_protocol::MemoryLimit;
///
/// let limit: MemoryLimit = "1Gi".parse()?;
/// assert_eq!(limit.bytes(), 1 << 30);
/// assert_eq!(limit.mebibytes(), 1024);
/// # Ok::<(), ppio_agent_protocol::InvalidMemoryLimit>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryLimit(NonZeroU64);

/// A text or number that is no [`MemoryLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMemoryLimit {
    /// Not a size at all.
    #[error(transparent)]
    Size(#[from] InvalidByteSize),
    /// Nothing runs in no memory.
    #[error("a memory limit of zero is too little, write one such as `512Mi`")]
    Zero,
}

impl MemoryLimit {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0.get()
    }

    /// The number of mebibytes, rounded up: what the control plane calls `memoryMB`.
    pub fn mebibytes(self) -> u64 {
        self.bytes().div_ceil(1 << 20)
    }
}

impl From<MemoryLimit> for ByteSize {
    fn from(limit: MemoryLimit) -> Self {
        Self::new(limit.bytes())
    }
}

impl TryFrom<ByteSize> for MemoryLimit {
    type Error = InvalidMemoryLimit;

    fn try_from(size: ByteSize) -> Result<Self, Self::Error> {
        NonZeroU64::new(size.bytes())
            .map(Self)
            .ok_or(InvalidMemoryLimit::Zero)
    }
}

impl FromStr for MemoryLimit {
    type Err = InvalidMemoryLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<ByteSize>()?.try_into()
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ByteSize::from(*self).fmt(f)
    }
}

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a text as above, or a plain number of bytes.
impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limit;

        impl Visitor<'_> for Limit {
            type Value = MemoryLimit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `512Mi` or `1Gi`")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<MemoryLimit, E> {
                ByteSize::new(bytes).try_into().map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MemoryLimit, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Limit)
    }
}

/// How much processor time an agent's sandbox has, to the thousandth of a processor: `1`, `0.5` or `500m`.
///
/// ```
/// use ppio_agent_protocol::CpuLimit;
///
/// let limit: CpuLimit = "1500m".parse()?;
/// assert_eq!(limit.millicores(), 1500);
/// assert_eq!(limit.cpu_count(), 2);
/// # Ok::<(), ppio_agent_protocol::InvalidCpuLimit>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuLimit(NonZeroU32);

/// A text or number that is no [`CpuLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number of processors above zero, write one such as `1`, `0.5` or `500m`")]
pub struct InvalidCpuLimit(String);

impl CpuLimit {
    /// The number of thousandths of a processor.
    pub fn millicores(self) -> u32 {
        self.0.get()
    }

    /// The number of processors, rounded up: what the control plane calls `cpuCount`.
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

/// Exact in integers: `0.001` is one millicore, and more than three decimals are none.
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

impl Serialize for CpuLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a text as above, or a number without quotes.
impl<'de> Deserialize<'de> for CpuLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Limit;

        impl Visitor<'_> for Limit {
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

        deserializer.deserialize_any(Limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
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

    #[test]
    fn memory() {
        for (text, mebibytes) in [
            ("512Mi", 512),
            ("1Gi", 1024),
            ("1", 1),
            ("1M", 1),
            ("2Mi", 2),
            ("1048577", 2),
        ] {
            assert_eq!(
                text.parse::<MemoryLimit>().unwrap().mebibytes(),
                mebibytes,
                "{text}"
            );
        }
        for text in ["", "0", "0Gi", "lots", "-1Gi", "512m", "17179869184Gi"] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text:?}");
        }
        assert_eq!(
            serde_json::from_str::<MemoryLimit>("1048576")
                .unwrap()
                .to_string(),
            "1Mi"
        );
        assert!(serde_json::from_str::<MemoryLimit>("0").is_err());
    }

    #[test]
    fn processors() {
        for (text, millicores, count, written) in [
            ("1", 1000, 1, "1"),
            ("1000m", 1000, 1, "1"),
            ("500m", 500, 1, "500m"),
            ("0.5", 500, 1, "500m"),
            ("1.25", 1250, 2, "1250m"),
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
