//! The signals of OpenTelemetry.

/// A kind of data that OTLP exports. Each kind is sent to its own URL path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TelemetrySignal {
    Traces,
    Metrics,
    Logs,
}

impl TelemetrySignal {
    pub(super) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}
