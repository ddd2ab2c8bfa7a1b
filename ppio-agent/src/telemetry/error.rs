//! The error for telemetry that cannot be exported as configured.

use opentelemetry_otlp::ExporterBuildError;

use super::signal::TelemetrySignal;

/// The error for traces, metrics or logs of an agent that cannot be exported as configured by the
/// `OTEL_*` variables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable has a value that is not valid or not supported.
    #[error("{variable} is `{value}`: {expected}")]
    Variable {
        /// The name of the variable.
        variable: String,
        /// The value of the variable.
        value: String,
        /// How to correct the value.
        expected: &'static str,
    },
    /// The exporter of a signal cannot be built.
    #[error("cannot export {signal}: {reason}")]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// The error of the exporter.
        reason: String,
    },
    /// The thread that exports telemetry cannot start.
    #[error("cannot start the thread that exports telemetry")]
    Thread(#[source] std::io::Error),
}

impl TelemetryError {
    pub(super) fn variable(name: impl Into<String>, value: &str, expected: &'static str) -> Self {
        Self::Variable {
            variable: name.into(),
            value: value.chars().take(200).collect(),
            expected,
        }
    }

    pub(super) fn exporter(signal: TelemetrySignal, reason: &ExporterBuildError) -> Self {
        Self::Exporter {
            signal: signal.as_str(),
            reason: reason.to_string(),
        }
    }
}
