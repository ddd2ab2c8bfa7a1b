//! The exported signals, their endpoints and their exporters.

use std::time::Duration;

use http::Uri;
use opentelemetry_otlp::{
    LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use ppio_agent_protocol::environment;

use super::error::TelemetryError;
use super::otlp_client::{OtlpClient, OtlpSender};
use super::signal::TelemetrySignal;

/// The timeout of one export, unless a variable sets another timeout.
const TIMEOUT: Duration = Duration::from_secs(10);

impl TelemetrySignal {
    /// Returns the name and the value of the signal's own variable, otherwise of the variable for
    /// all signals.
    fn variable(self, name: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{name}", self.as_str().to_uppercase());
        [own, format!("OTEL_EXPORTER_OTLP_{name}")]
            .into_iter()
            .find_map(|name| environment::text(&name).map(|value| (name, value)))
    }

    /// Whether the signal is exported: if `OTEL_*_EXPORTER` is `otlp`, or if it is not set and an
    /// endpoint is set.
    pub(super) fn is_exported(self) -> Result<bool, TelemetryError> {
        let name = match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        };
        let is_exported = match environment::text(name).as_deref() {
            None => self.variable("ENDPOINT").is_some(),
            Some("none") => false,
            Some("otlp") => true,
            Some(other) => {
                return Err(TelemetryError::variable(
                    name,
                    other,
                    "set it to `otlp` or `none`; other exporters are not built in",
                ));
            }
        };
        if is_exported {
            self.check_protocol()?;
            self.check_endpoint()?;
            self.check_compression()?;
        }
        Ok(is_exported)
    }

    fn check_protocol(self) -> Result<(), TelemetryError> {
        match self.variable("PROTOCOL") {
            None => Ok(()),
            Some((_, protocol)) if protocol == "http/protobuf" => Ok(()),
            Some((name, protocol)) => Err(TelemetryError::variable(
                name,
                &protocol,
                "only `http/protobuf` is supported; receivers accept it on port 4318, and \
                 gRPC on port 4317",
            )),
        }
    }

    fn check_endpoint(self) -> Result<(), TelemetryError> {
        let Some((name, endpoint)) = self.variable("ENDPOINT") else {
            return Ok(());
        };
        let uri = endpoint.parse::<Uri>().ok();
        let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        match uri {
            Some(uri) if uri.host().is_some() => Ok(()),
            _ => Err(TelemetryError::variable(
                name,
                &environment::url_without_secrets(&endpoint),
                "set it to a URL with `http` or `https`, such as `http://127.0.0.1:4318`",
            )),
        }
    }

    fn check_compression(self) -> Result<(), TelemetryError> {
        match self.variable("COMPRESSION") {
            Some((name, algorithm)) if algorithm != "none" => Err(TelemetryError::variable(
                name,
                &algorithm,
                "set it to `none`; compression is not built in",
            )),
            _ => Ok(()),
        }
    }

    /// Whether the endpoint of the signal has the scheme `https`.
    pub(super) fn uses_tls(self) -> bool {
        let endpoint = self.variable("ENDPOINT");
        endpoint.is_some_and(|(_, url)| url.to_ascii_lowercase().starts_with("https:"))
    }

    fn timeout(self) -> Result<Duration, TelemetryError> {
        let Some((name, value)) = self.variable("TIMEOUT") else {
            return Ok(TIMEOUT);
        };
        match value.parse() {
            Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
            _ => Err(TelemetryError::variable(
                name,
                &value,
                "set it to whole milliseconds, 1 or more",
            )),
        }
    }

    fn client(self, sender: &OtlpSender) -> Result<OtlpClient, TelemetryError> {
        Ok(OtlpClient::new(sender, self, self.timeout()?))
    }
}

pub(super) fn spans(sender: &OtlpSender) -> Result<SpanExporter, TelemetryError> {
    SpanExporter::builder()
        .with_http()
        .with_http_client(TelemetrySignal::Traces.client(sender)?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| TelemetryError::exporter(TelemetrySignal::Traces, &error))
}

pub(super) fn metrics(sender: &OtlpSender) -> Result<MetricExporter, TelemetryError> {
    MetricExporter::builder()
        .with_http()
        .with_http_client(TelemetrySignal::Metrics.client(sender)?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| TelemetryError::exporter(TelemetrySignal::Metrics, &error))
}

pub(super) fn logs(sender: &OtlpSender) -> Result<LogExporter, TelemetryError> {
    LogExporter::builder()
        .with_http()
        .with_http_client(TelemetrySignal::Logs.client(sender)?)
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| TelemetryError::exporter(TelemetrySignal::Logs, &error))
}
