//! Which media types a caller prefers (RFC 9110, section 12.5.1).

use http::{HeaderMap, HeaderName};

/// The preference for a type. If the qualities are equal, a type that is named precedes one that
/// only a wildcard matches.
#[derive(Debug, Default, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Preference {
    quality: f32,
    /// 0 if no range matches, 1 for `*/*`, 2 for `text/*`, 3 for the type itself.
    precision: u8,
}

impl Preference {
    /// Returns the preference for a type in all headers of a name.
    pub(crate) fn in_headers(headers: &HeaderMap, name: HeaderName, media_type: &str) -> Self {
        let mut found = Self::default();
        let values = headers.get_all(name).iter();
        let ranges = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|parameter| {
                    let (name, value) = parameter.split_once('=')?;
                    name.eq_ignore_ascii_case("q").then(|| value.parse().ok())?
                })
                .unwrap_or(1.0);
            found.add(range, media_type, quality);
        }
        found
    }

    pub(crate) fn is_accepted(self) -> bool {
        self.quality > 0.0
    }

    /// Whether a media range names the type itself.
    #[cfg(feature = "metrics")]
    pub(crate) fn is_named(self) -> bool {
        self.precision == 3
    }

    /// Stores the quality of a media range that is more precise than the previous ones.
    fn add(&mut self, range: &str, media_type: &str, quality: f32) {
        let kind = media_type.split('/').next().unwrap_or_default();
        let precision = if range.eq_ignore_ascii_case(media_type) {
            3
        } else if range
            .strip_suffix("/*")
            .is_some_and(|range| range.eq_ignore_ascii_case(kind))
        {
            2
        } else if range == "*/*" {
            1
        } else {
            return;
        };
        if precision > self.precision {
            *self = Self { quality, precision };
        }
    }
}
