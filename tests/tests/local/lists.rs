//! The filters, order and pages of sandbox lists.

use std::time::SystemTime;

use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::eventually_some;
use serde_json::json;

use crate::raw_calls::{call, create, id, kill};
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_ordered() {
    let platform = TestPlatform::with(|builder| builder).await;
    let spec = TemplateSpec::new("other").run("true");
    let other = platform.platform.build_template(spec).await.unwrap();
    let mut sandboxes = Vec::new();
    for template in ["base", &other.id, "base"] {
        let metadata = json!({"metadata": {"test": "list"}});
        sandboxes.push(create(&platform, template, metadata).await);
        // The next sandbox starts in a later millisecond.
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let before = now().unwrap().as_millis();
        eventually_some("a millisecond", async || {
            (now().unwrap().as_millis() > before).then_some(())
        })
        .await;
    }
    let names: Vec<_> = sandboxes
        .iter()
        .map(|sandbox| id(sandbox).to_owned())
        .collect();
    let pause = format!("/sandboxes/{}/pause", names[2]);
    assert_eq!(
        call(&platform, "POST", &pause, &json!({})).await.status,
        204
    );
    let second = call(
        &platform,
        "GET",
        &format!("/sandboxes/{}", names[1]),
        &json!({}),
    )
    .await;
    let started = second.json()["startedAt"].as_str().unwrap().to_owned();
    let with_offset = started.replace('Z', "%2B00:00");

    for (query, expected, running) in [
        ("", &[2, 1, 0][..], Some(2)),
        ("order=desc", &[2, 1, 0], Some(2)),
        ("order=asc", &[0, 1, 2], Some(2)),
        ("state=paused", &[2], None),
        ("state=running&limit=1", &[1], Some(2)),
        ("template=other", &[1], Some(1)),
        (&format!("template={}", other.id), &[1], Some(1)),
        ("template=missing", &[], Some(0)),
        (&format!("startedAfter={started}"), &[2, 1], Some(1)),
        (
            &format!("order=asc&startedAfter={with_offset}"),
            &[1, 2],
            Some(1),
        ),
        ("startedAfter=2999-01-01T00:00:00Z", &[], Some(0)),
        ("metadata=test%3Dlist", &[2, 1, 0], Some(2)),
    ] {
        let answer = platform
            .request("GET", &format!("/v2/sandboxes?{query}"), &[], b"")
            .await;
        let listed = answer.json();
        let listed: Vec<_> = listed.as_array().unwrap().iter().map(id).collect();
        let expected: Vec<_> = expected.iter().map(|index| &names[*index]).collect();
        assert_eq!(listed, expected, "{query}");
        let header = running.map(|count| format!("x-total-running: {count}"));
        let found = answer
            .head
            .lines()
            .find(|line| line.starts_with("x-total-running"));
        assert_eq!(found, header.as_deref(), "{query}");
    }
    let answer = platform.request("GET", "/sandboxes", &[], b"").await.json();
    let listed: Vec<_> = answer.as_array().unwrap().iter().map(id).collect();
    assert_eq!(listed, [&names[1], &names[0]]);

    // Reads pages of one sandbox, in both orders.
    for (order, expected) in [("desc", [2, 1, 0]), ("asc", [0, 1, 2])] {
        let (mut next, mut seen) = (String::new(), Vec::new());
        loop {
            let path = format!("/v2/sandboxes?order={order}&limit=1&nextToken={next}");
            let answer = platform.request("GET", &path, &[], b"").await;
            seen.push(id(&answer.json()[0]).to_owned());
            let mut lines = answer.head.lines();
            match lines.find_map(|line| line.strip_prefix("x-next-token: ")) {
                Some(token) => token.clone_into(&mut next),
                None => break,
            }
        }
        assert_eq!(seen, expected.map(|index| names[index].clone()), "{order}");
    }
    for sandbox in &sandboxes {
        kill(&platform, sandbox).await;
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_list_parameters_are_refused() {
    let platform = TestPlatform::with(|builder| builder).await;
    for query in [
        "order=newest",
        "state=asleep",
        "template=",
        "startedAfter=now",
        "startedAfter=1764028800",
        "metadata=test",
        "metadata=%3Dlist",
        "limit=0",
        "limit=many",
        "limit=101",
        "nextToken=x",
    ] {
        for path in ["/v2/sandboxes", "/sandboxes"] {
            let answer = platform
                .request("GET", &format!("{path}?{query}"), &[], b"")
                .await;
            assert_eq!(answer.status, 400, "{path} {query}: {answer:?}");
        }
    }
    platform.stop().await;
}
