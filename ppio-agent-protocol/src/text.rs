//! Values that are written as text, and parsed while they are read or set.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// Deserializes a text and parses it. Parsing happens in the visitor, where the format still adds
/// the line and the column to an error.
pub(crate) fn deserialize<'de, D, T>(
    deserializer: D,
    expecting: &'static str,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct ParsingVisitor<T> {
        expecting: &'static str,
        parsed: PhantomData<T>,
    }

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for ParsingVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expecting)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_unit<E: de::Error>(self) -> Result<T, E> {
            let expecting = self.expecting;
            Err(E::custom(format_args!(
                "the value is null, write {expecting}"
            )))
        }
    }

    // The value is not read as a string: YAML reads every plain scalar as a string, and `null`
    // would become a name.
    deserializer.deserialize_any(ParsingVisitor {
        expecting,
        parsed: PhantomData,
    })
}

/// Converts texts into a type by parsing them, for setters that take a text or a value of the type.
macro_rules! try_from_text {
    ($type:ty) => {
        impl TryFrom<&str> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: &str) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<&String> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: &String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $type {
            type Error = <$type as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

pub(crate) use try_from_text;

/// Returns the first 64 characters of a text, for errors that quote a value of any length.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARACTERS: usize = 64;
    match text.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
