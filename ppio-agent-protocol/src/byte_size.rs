//! Sizes in bytes, such as `512Mi`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::text::excerpt;

/// A number of bytes.
///
/// Parses a whole number with an optional unit, in upper or lower case: `B`; `Ki`, `Mi`, `Gi`,
/// `Ti`, `Pi` and `Ei`, powers of 1024; `k`, `M`, `G`, `T`, `P` and `E`, powers of 1000. A `B` may
/// follow the unit (`MiB`, `MB`). The units are those of [quantities in Kubernetes], where `m` is a
/// thousandth; here `m` alone is rejected.
///
/// Displays as the shortest exact text; of two texts of the same length, as the binary one.
///
/// [quantities in Kubernetes]: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
///
/// ```
/// use ppio_agent_protocol::ByteSize;
///
/// let size: ByteSize = "2MiB".parse()?;
/// assert_eq!(size.bytes(), 2 * 1024 * 1024);
/// assert_eq!(size.to_string(), "2Mi");
/// assert_eq!(ByteSize::new(10_000_000).to_string(), "10M");
/// assert_eq!(ByteSize::new(1_048_577).to_string(), "1048577");
/// # Ok::<(), ppio_agent_protocol::InvalidByteSize>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

/// An error from parsing a [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidByteSize {
    /// The text does not start with a digit, or the number has a fraction.
    #[error("{0:?} is not a size, write a whole number with a unit such as `512Mi` or `1Gi`")]
    NotANumber(String),
    /// The text after the number is not a unit.
    #[error("{0:?} is not a unit of size, use `Ki`, `Mi` or `Gi` (1024) or `k`, `M` or `G` (1000)")]
    UnknownUnit(String),
    /// The size does not fit in 64 bits.
    #[error("{0:?} is more than 16 EiB, check the unit")]
    TooLarge(String),
}

/// Every unit, in the spelling of `Display`.
const UNITS: [(&str, u64); 13] = [
    ("", 1),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

impl ByteSize {
    /// Creates a size from a number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> Self {
        size.0
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        if number.is_empty() || unit.starts_with(['.', ',']) {
            return Err(InvalidByteSize::NotANumber(excerpt(text)));
        }
        let unit = unit.trim_start();
        let factor = factor(unit).ok_or_else(|| InvalidByteSize::UnknownUnit(excerpt(unit)))?;
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| InvalidByteSize::TooLarge(excerpt(text)))
    }
}

fn factor(unit: &str) -> Option<u64> {
    if unit == "m" {
        return None;
    }
    let scale = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(scale))?;
    Some(*factor)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .filter(|(_, factor)| self.0.is_multiple_of(*factor));
        let texts = exact.map(|(name, factor)| format!("{}{name}", self.0 / factor));
        // Of the shortest texts the first one: plain (always exact), then binary, then decimal.
        f.pad(&texts.min_by_key(String::len).unwrap_or_default())
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a text, or a number of bytes.
impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as `512Mi`")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_every_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("007", 7),
            ("100B", 100),
            ("512Ki", 512 << 10),
            ("2Mi", 2 << 20),
            ("2MiB", 2 << 20),
            ("1Gi", 1 << 30),
            ("3TiB", 3 << 40),
            ("15Ei", 15 << 60),
            ("1k", 1000),
            ("1KB", 1000),
            ("10MB", 10_000_000),
            ("10M", 10_000_000),
            ("5g", 5_000_000_000),
            ("1mib", 1 << 20),
            ("1mb", 1_000_000),
            (" 1 Gi ", 1 << 30),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text:?}");
        }
    }

    #[test]
    fn rejects_everything_else() {
        use InvalidByteSize::{NotANumber, TooLarge, UnknownUnit};
        let number = NotANumber as fn(String) -> InvalidByteSize;
        for (text, error) in [
            ("", number),
            (" ", number),
            ("Mi", number),
            ("-1", number),
            ("+1", number),
            ("1.5Gi", number),
            ("1,5Gi", number),
            ("one", number),
            ("５１２Mi", number),
            ("18446744073709551616", TooLarge),
            ("16Ei", TooLarge),
            ("99999999999999999999999999999999Gi", TooLarge),
        ] {
            assert_eq!(
                text.parse::<ByteSize>(),
                Err(error(text.to_owned())),
                "{text:?}"
            );
        }
        for (text, unit) in [
            ("512m", "m"),
            ("512X", "X"),
            ("1BB", "BB"),
            ("1Mi i", "Mi i"),
            ("0x10", "x10"),
            ("1e3", "e3"),
            ("1МB", "МB"),
        ] {
            assert_eq!(
                text.parse::<ByteSize>(),
                Err(UnknownUnit(unit.to_owned())),
                "{text:?}"
            );
        }
    }

    #[test]
    fn displays_the_shortest_exact_text() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (999, "999"),
            (1000, "1k"),
            (1024, "1Ki"),
            (1025, "1025"),
            (512 << 20, "512Mi"),
            (1536 << 20, "1536Mi"),
            (1 << 30, "1Gi"),
            (10_000_000, "10M"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>6}", ByteSize(1024)), "   1Ki");
    }

    #[test]
    fn reads_a_text_or_a_number() {
        assert_eq!(
            serde_json::from_str::<ByteSize>("1024").unwrap(),
            ByteSize(1024)
        );
        assert_eq!(
            serde_json::from_str::<ByteSize>("\"1Ki\"").unwrap(),
            ByteSize(1024)
        );
        assert_eq!(serde_json::to_string(&ByteSize(1024)).unwrap(), "\"1Ki\"");
        for text in ["-1", "1.5", "null", "true", "[1]"] {
            assert!(serde_json::from_str::<ByteSize>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn displayed_sizes_are_parsed(number in any::<u64>(), shift in 0..64u32) {
            for number in [number, number >> shift << shift, number >> shift] {
                let size = ByteSize(number);
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }

        #[test]
        fn parsing_does_not_panic(text in "\\PC*") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
