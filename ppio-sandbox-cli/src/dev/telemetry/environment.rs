//! The variables that make the agent export its traces to `agent dev`.

use ppio_agent_protocol::environment;

use crate::dev::dot_env::Variables;

/// The path of the OTLP endpoint, to which `/v1/traces` and `/v1/logs` are added.
pub(super) const OTLP_PATH: &str = "/_ppio/dev/otlp";

/// The variables with which an author sets another receiver of traces. If one is set, no variable
/// is changed.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// The endpoint, the protocol and the compression of each signal, which override the general ones.
const OF_SIGNALS: [[&str; 3]; 3] = [
    [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    ],
    [
        METRICS_ENDPOINT,
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
    ],
    [
        LOGS_ENDPOINT,
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
    ],
];
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const LOGS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT";

/// The receiver that the agent exports to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::dev) enum ExportTarget {
    /// The receiver of this program, with these variables.
    Dev(Vec<(&'static str, String)>),
    /// The endpoint that the author has set in this variable.
    Author(&'static str),
}

impl ExportTarget {
    /// Chooses the target. `port` is that of this program, `of_project` are the variables of
    /// `.env`.
    pub(in crate::dev) fn choose(port: u16, of_project: &Variables) -> Self {
        Self::of(port, |name| {
            environment::text(name).is_some()
                || of_project
                    .get(name)
                    .is_some_and(|value| !environment::is_blank(value))
        })
    }

    fn of(port: u16, is_set: impl Fn(&str) -> bool) -> Self {
        if let Some(endpoint) = ENDPOINTS.into_iter().find(|name| is_set(name)) {
            return Self::Author(endpoint);
        }
        // Every SDK and the receiver support these; settings for another receiver do not apply.
        let (protocol, compression) = ("http/protobuf", "none");
        let mut variables = vec![
            (ENDPOINTS[0], format!("http://127.0.0.1:{port}{OTLP_PATH}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression.to_owned()),
        ];
        for [endpoint, of_protocol, of_compression] in OF_SIGNALS {
            let overridden = [(of_protocol, protocol), (of_compression, compression)];
            let overridden = overridden.into_iter().filter(|(name, _)| is_set(name));
            if !is_set(endpoint) {
                variables.extend(overridden.map(|(name, value)| (name, value.to_owned())));
            }
        }
        let defaults = [
            // The log is also in the output, which arrives sooner.
            ("OTEL_LOGS_EXPORTER", "none", is_set(LOGS_ENDPOINT)),
            // The receiver does not accept metrics.
            ("OTEL_METRICS_EXPORTER", "none", is_set(METRICS_ENDPOINT)),
            // Milliseconds: the page shows a span soon after its end.
            ("OTEL_BSP_SCHEDULE_DELAY", "200", false),
        ];
        for (name, value, has_receiver) in defaults {
            if !has_receiver && !is_set(name) {
                variables.push((name, value.to_owned()));
            }
        }
        Self::Dev(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_the_author_is_left_as_it_is() {
        for name in ENDPOINTS {
            let target = ExportTarget::of(1, |other| other == name);
            assert_eq!(target, ExportTarget::Author(name));
        }
        let ExportTarget::Dev(variables) = ExportTarget::of(8080, |_| false) else {
            panic!("there is no endpoint");
        };
        let endpoint = "http://127.0.0.1:8080/_ppio/dev/otlp".to_owned();
        assert_eq!(variables[0], ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint));
        assert_eq!(variables.len(), 6);
        let target = ExportTarget::of(8080, |name| name == "OTEL_LOGS_EXPORTER");
        let ExportTarget::Dev(variables) = target else {
            panic!("there is no endpoint");
        };
        assert!(
            variables
                .iter()
                .all(|(name, _)| *name != "OTEL_LOGS_EXPORTER")
        );
    }

    fn chosen(set: &[&str]) -> Vec<(&'static str, String)> {
        match ExportTarget::of(8080, |name| set.contains(&name)) {
            ExportTarget::Dev(variables) => variables,
            target @ ExportTarget::Author(_) => panic!("{target:?}"),
        }
    }

    #[test]
    fn settings_of_a_signal_for_another_receiver_are_replaced() {
        let protocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
        let compression = "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION";
        let variables = chosen(&[protocol, compression]);
        assert!(variables.contains(&(protocol, "http/protobuf".to_owned())));
        assert!(variables.contains(&(compression, "none".to_owned())));
        assert_eq!(variables.len(), 8);
    }

    #[test]
    fn a_receiver_of_metrics_alone_does_not_receive_the_traces() {
        let protocol = "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL";
        let variables = chosen(&[METRICS_ENDPOINT, protocol]);
        let names: Vec<_> = variables.iter().map(|(name, _)| *name).collect();
        assert_eq!(names[0], ENDPOINTS[0]);
        assert!(!names.contains(&protocol), "{names:?}");
        assert!(!names.contains(&"OTEL_METRICS_EXPORTER"), "{names:?}");
        assert!(names.contains(&"OTEL_LOGS_EXPORTER"), "{names:?}");
    }
}
