//! The field `spec.runtime.memory_limit`.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::byte_size::{ByteSize, InvalidByteSize};
use crate::text;

/// The memory of a sandbox: a [`ByteSize`] above zero, such as `512Mi` or `1Gi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryLimit(NonZeroU64);

/// An error from parsing a [`MemoryLimit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMemoryLimit {
    /// The text is not a size.
    #[error(transparent)]
    Size(#[from] InvalidByteSize),
    /// The size is zero.
    #[error("a memory limit of zero is too little, write one such as `512Mi`")]
    Zero,
}

impl MemoryLimit {
    /// Returns the limit in bytes.
    pub fn bytes(self) -> u64 {
        self.0.get()
    }

    /// Returns the limit in mebibytes, rounded up: the `memoryMB` of the control plane.
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

text::try_from_text!(MemoryLimit);

impl Serialize for MemoryLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a text, or a number of bytes.
impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MemoryLimitVisitor;

        impl Visitor<'_> for MemoryLimitVisitor {
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

        deserializer.deserialize_any(MemoryLimitVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_sizes_above_zero() {
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
}
