//! Writes the text formats of Prometheus and of `OpenMetrics`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

use crate::exchange::media_types::Preference;
use crate::invocation::exemplars::Exemplar;
use crate::invocation::histogram::{BUCKETS, Distribution};

/// The maximum number of characters in the names and values of an exemplar's labels together.
const MAX_EXEMPLAR: usize = 128;

/// The format of the metrics in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    /// The format of `OpenMetrics`, with exemplars.
    OpenMetrics,
}

impl Format {
    /// Returns the format that `Accept` prefers; the default is Prometheus' own format.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let open = Preference::in_headers(headers, ACCEPT, "application/openmetrics-text");
        let plain = Preference::in_headers(headers, ACCEPT, "text/plain");
        if open.is_named() && open >= plain && open.is_accepted() {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }
}

/// The names and values of the labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// One of several samples of a metric: its labels and its value.
pub(super) type Sample<'a, V> = (Vec<(&'a str, &'a str)>, V);

/// The text of the metrics in one response.
pub(super) struct MetricsText {
    text: String,
    format: Format,
}

impl MetricsText {
    pub(super) fn new(format: Format) -> Self {
        Self {
            text: String::with_capacity(8192),
            format,
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let result = writeln!(self.text, "{line}");
        debug_assert!(result.is_ok(), "writing to a `String` cannot fail");
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.line(format_args!("{name}{} {value}", LabelSet(labels)));
    }

    /// Writes a counter, whose values only grow. `name` ends with `_total`.
    pub(super) fn counter<'a, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a, V>>,
    ) {
        // In `OpenMetrics`, only the names of the samples have the suffix `_total`.
        let family = match self.format {
            Format::Prometheus => name,
            Format::OpenMetrics => name.trim_end_matches("_total"),
        };
        self.head(family, "counter", help);
        for (labels, value) in samples {
            self.sample(name, &labels, value);
        }
    }

    /// Writes a gauge, whose value rises and falls.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, &[], value);
    }

    /// Writes labels that do not change while the program runs. `name` ends with `_info`.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: Labels<'_>) {
        match self.format {
            Format::Prometheus => self.head(name, "gauge", help),
            Format::OpenMetrics => self.head(name.trim_end_matches("_info"), "info", help),
        }
        self.sample(name, labels, 1);
    }

    /// Begins a histogram, whose distributions follow.
    pub(super) fn histogram(&mut self, name: &str, help: &str) {
        self.head(name, "histogram", help);
    }

    /// Writes one distribution of a histogram; in `OpenMetrics` with the exemplars of its buckets.
    pub(super) fn distribution(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        found: &Distribution,
        exemplars: &BTreeMap<usize, Exemplar>,
    ) {
        let mut cumulative = 0;
        for bucket in 0..BUCKETS {
            cumulative += found.buckets[bucket];
            // The bound is written as `OpenMetrics` requires, so that the series are the same in
            // both formats.
            let bound = Distribution::bound(bucket);
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| format!("{bound:?}"));
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            let exemplar = exemplars.get(&bucket);
            let exemplar = exemplar.filter(|_| self.format == Format::OpenMetrics);
            let exemplar = exemplar.map(exemplar_text).unwrap_or_default();
            self.line(format_args!(
                "{name}_bucket{} {cumulative}{exemplar}",
                LabelSet(&labels)
            ));
        }
        self.sample(&format!("{name}_sum"), labels, found.sum.as_secs_f64());
        self.sample(&format!("{name}_count"), labels, cumulative);
    }
}

/// Returns the text of an exemplar, which follows its sample; an empty text if the exemplar is
/// longer than `MAX_EXEMPLAR`.
fn exemplar_text(exemplar: &Exemplar) -> String {
    let Exemplar {
        label,
        id,
        duration,
        at,
    } = exemplar;
    if label.len() + id.chars().count() > MAX_EXEMPLAR {
        return String::new();
    }
    let labels = [(*label, id.as_str())];
    let at = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        " # {} {} {:.3}",
        LabelSet(&labels),
        duration.as_secs_f64(),
        at.as_secs_f64()
    )
}

/// Displays labels in braces; displays nothing if there are no labels.
struct LabelSet<'a>(Labels<'a>);

impl Display for LabelSet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, (name, value)) in self.0.iter().enumerate() {
            f.write_char(if position == 0 { '{' } else { ',' })?;
            write!(f, "{name}=\"")?;
            for character in value.chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    other => f.write_char(other)?,
                }
            }
            f.write_char('"')?;
        }
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_char('}')
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_format_is_the_one_that_accept_prefers() {
        const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2";
        for (accept, expected) in [
            (PROMETHEUS, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; version=1.0.0",
                Format::OpenMetrics,
            ),
            (
                "text/plain, application/openmetrics-text;q=0.5",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/*", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/html", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Format::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Prometheus);
    }

    #[test]
    fn labels_are_escaped_and_long_exemplars_are_left_out() {
        assert_eq!(
            LabelSet(&[("a", "\"\\\n"), ("b", "")]).to_string(),
            "{a=\"\\\"\\\\\\n\",b=\"\"}"
        );
        let exemplar = |length| Exemplar {
            label: "request_id",
            id: "x".repeat(length),
            duration: Duration::from_millis(1500),
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
        };
        assert_eq!(
            exemplar_text(&exemplar(3)),
            " # {request_id=\"xxx\"} 1.5 1700000000.250"
        );
        assert_ne!(exemplar_text(&exemplar(118)), "");
        assert_eq!(exemplar_text(&exemplar(119)), "");
    }
}
