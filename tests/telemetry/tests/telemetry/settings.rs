//! The `OTEL_*` variables.

use std::time::Duration;

use ppio_test_support::call;
use serde_json::json;

use crate::agents::{agent, exporting};
use crate::receiver::Receiver;

/// Each error contains the variable, its value and the supported values.
#[test]
fn a_value_that_is_not_supported_is_an_error() {
    for (name, value, expected) in [
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "grpc",
            "only `http/protobuf` is supported",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "http/json",
            "only `http/protobuf`",
        ),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "whole milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "to `none`"),
        ("OTEL_TRACES_EXPORTER", "console", "`otlp` or `none`"),
        ("OTEL_TRACES_SAMPLER", "xray", "`always_on`"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a number of spans"),
        ("OTEL_PROPAGATORS", "b3", "`tracecontext` and `baggage`"),
        ("OTEL_SDK_DISABLED", "1", "`true` or `false`"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "localhost:4318",
            "a URL with `http` or `https`",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "not a url",
            "a URL with `http` or `https`",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "grpc://user:secret@host:4317",
            "is `grpc://…`: set it to a URL with `http` or `https`",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "user:secret@host:4318",
            "a URL with `http` or `https`",
        ),
    ] {
        let mut agent = agent()
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .env(name, value)
            .spawn();
        let status = agent.wait(Duration::from_secs(20));
        assert!(!status.success(), "{name}");
        let error = agent.stderr();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.contains("OTEL_SDK_DISABLED=true"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let ratio = agent()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .env("OTEL_TRACES_SAMPLER", "traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "2");
    let mut agent = ratio.spawn();
    assert!(!agent.wait(Duration::from_secs(20)).success());
    assert!(agent.stderr().contains("from 0 to 1"), "{}", agent.stderr());
}

/// Spans and log records are exported only with an endpoint, and not if a variable turns them off.
#[tokio::test(flavor = "multi_thread")]
async fn signals_are_exported_only_if_configured() {
    let spans = "/v1/traces";
    for (settings, has_spans, has_logs) in [
        (&[][..], true, true),
        (&[("OTEL_SDK_DISABLED", "true")], false, false),
        (&[("OTEL_TRACES_EXPORTER", "none")], false, true),
        (&[("OTEL_LOGS_EXPORTER", "none")], true, false),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], false, true),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false, false),
        (
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", spans),
            ],
            true,
            false,
        ),
    ] {
        let receiver = Receiver::start().await;
        let mut launcher = exporting(&receiver);
        for &(name, value) in settings {
            // The endpoint variable of a signal contains the whole URL.
            let url = if value == spans {
                receiver.url()
            } else {
                String::new()
            };
            launcher = launcher.env(name, url + value);
        }
        let agent = launcher.start();
        call::invoke(&agent, &json!({"prompt": "log"}))
            .await
            .text()
            .await;
        assert!(agent.stop_gracefully().success());
        let found = receiver.received();
        assert_eq!(!found.spans.is_empty(), has_spans, "{settings:?}");
        assert_eq!(!found.logs.is_empty(), has_logs, "{settings:?}");
    }
}

/// The service name, the resource attributes and the receiver's headers come from the variables.
#[tokio::test(flavor = "multi_thread")]
async fn the_resource_and_the_headers_are_configured() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver)
        .env("OTEL_SERVICE_NAME", "shop")
        .env(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,deployment.environment.name=test",
        )
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=secret%201")
        .start();
    call::invoke(&agent, &json!({"prompt": "value"}))
        .await
        .text()
        .await;
    assert!(agent.stop_gracefully().success());
    let found = receiver.received();
    assert_eq!(found.spans[0].service, "shop");
    assert!(
        found
            .headers
            .iter()
            .all(|headers| headers["x-api-key"] == "secret 1")
    );
}
