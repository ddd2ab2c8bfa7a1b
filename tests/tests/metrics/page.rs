//! The formats of the page `/metrics`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ppio_test_support::{call, metric, samples};
use serde_json::json;

use super::{metered, scrape, scrape_open_metrics};

/// Checks a page in Prometheus' own format with Prometheus' own program.
pub(crate) fn check(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool of the package `prometheus`: `cargo xtask test` installs it");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // Hints of `promtool` do not change its exit code.
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

#[tokio::test]
async fn an_agent_that_was_never_called_has_every_series() {
    let agent = metered().start();
    let page = scrape(&agent).await;
    check(&page);
    for outcome in crate::OUTCOMES {
        for protocol in ["invocations", "websocket"] {
            let labels = format!("protocol=\"{protocol}\",outcome=\"{outcome}\"");
            assert_eq!(metric(&page, &format!("invocations_total{{{labels}}}")), 0);
        }
    }
    for name in [
        "invocation_duration_seconds_bucket{protocol=\"invocations\",le=\"0.001\"}",
        "invocation_duration_seconds_bucket{protocol=\"invocations\",le=\"3600.0\"}",
        "first_item_seconds_bucket{protocol=\"invocations\",le=\"+Inf\"}",
        "tokens_total{type=\"input\"}",
        "open_websockets",
        "blocking_threads_in_use",
        "blocking_waiting",
        "executor_stalls_total{function=\"metered_agent::agent\"}",
    ] {
        assert_eq!(metric(&page, name), 0, "{name}");
    }
    assert_eq!(metric(&page, "blocking_threads"), 496);
    assert_eq!(metric(&page, "build_info"), 1);
    // This is the connection of the scrape.
    assert_eq!(metric(&page, "open_connections"), 1);
    let helped: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("# HELP "))
        .collect();
    let typed: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .collect();
    assert_eq!(helped.len(), typed.len());
}

#[tokio::test]
async fn open_metrics_buckets_have_exemplars() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let agent = metered().start();
    let empty = scrape_open_metrics(&agent).await;
    assert!(empty.ends_with("\n# EOF\n"), "{empty}");
    assert!(!empty.contains(" # "), "{empty}");
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", "r-1")];
    let slow = json!({ "do": "sleep", "ms": 120 });
    call::invoke_with(&agent, &headers, &slow)
        .await
        .result()
        .await;
    let stream = [("x-request-id", "r-2")];
    let stream = call::invoke_with(&agent, &stream, &json!({ "do": "stream" })).await;
    assert_eq!(stream.items().await.len(), 3);
    let page = scrape_open_metrics(&agent).await;
    let of = |name: &str, id: &str| {
        let mut lines = page.lines().filter(|line| line.starts_with(name));
        let found = lines.find(|line| line.contains(id));
        found
            .unwrap_or_else(|| panic!("no {name} with {id} in\n{page}"))
            .to_owned()
    };
    let slowest = of("ppio_agent_invocation_duration_seconds_bucket", TRACE);
    let (_, exemplar) = slowest.split_once(" # ").unwrap();
    let (labels, rest) = exemplar.split_once(' ').unwrap();
    assert_eq!(labels, format!("{{trace_id=\"{TRACE}\"}}"));
    let numbers: Vec<f64> = rest
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(numbers.len() == 2 && numbers[0] >= 0.12, "{exemplar}");
    of(
        "ppio_agent_invocation_duration_seconds_bucket",
        "{request_id=\"r-2\"}",
    );
    of(
        "ppio_agent_first_item_seconds_bucket",
        "{request_id=\"r-2\"}",
    );
    // Only the samples of a counter have the suffix `_total`, not its name in the metadata.
    assert!(
        page.contains("\n# TYPE ppio_agent_invocations counter\n"),
        "{page}"
    );
    assert!(page.contains("\nppio_agent_invocations_total{"), "{page}");
    assert!(page.contains("# TYPE ppio_agent_build info\n"), "{page}");
    // Prometheus' own format has the same samples, but no exemplars.
    let plain = scrape(&agent).await;
    check(&plain);
    assert!(!plain.contains(" # "), "{plain}");
    let series = |page: &str| -> Vec<_> {
        samples(page)
            .map(|(name, labels, _)| format!("{name}{{{labels}}}"))
            .collect()
    };
    assert_eq!(series(&page), series(&plain));
}
