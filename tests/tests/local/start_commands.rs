//! Start commands that fail or exit.

use std::time::Duration;

use ppio_sandbox_local::TemplateSpec;
use ppio_test_support::{eventually, with_timeout};
use serde_json::json;

use crate::raw_calls::call;
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn a_build_fails_as_soon_as_its_start_command_ends() {
    let platform = TestPlatform::with(|builder| builder).await;
    let build = async |name: &str, start: &str, ready: &str| {
        let spec = TemplateSpec::new(name)
            .start_command(start)
            .ready_command(ready);
        platform.platform.build_template(spec).await
    };
    for (name, start, expected) in [
        ("failing", "echo the reason; exit 3", "exit status: 3"),
        ("killed", "echo the reason; kill -9 $$", "signal: 9"),
        ("ending", "echo the reason", "exit status: 0"),
    ] {
        let error = build(name, start, "test -e /tmp/never")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && error.contains("the reason"),
            "{name}: {error}"
        );
    }
    // A start command that leaves a program running has not ended.
    build(
        "forking",
        "(until test -e /tmp/looked; do sleep 0.01; done; touch /tmp/up; exec sleep 1000) \
         >/dev/null 2>&1 &",
        "touch /tmp/looked; test -e /tmp/up",
    )
    .await
    .unwrap();

    // The timeout starts when the ready command has succeeded.
    let slow = build("slow", "exec sleep 1000", "sleep 3").await.unwrap();
    let body = json!({"templateID": slow.id, "timeout": 1});
    let answer = call(&platform, "POST", "/sandboxes", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    eventually("the end of the sandbox", || {
        platform.platform.sandbox_count() == 0 && platform.directories().is_empty()
    })
    .await;

    let start = "if test -n \"$FAIL\"; then echo \"broken: $FAIL\"; exit 4; fi; touch /tmp/up; exec sleep 1000";
    let template = build("variable", start, "test -e /tmp/up").await.unwrap();
    let body = json!({"templateID": template.id, "envVars": {"FAIL": "yes"}});
    let answer = call(&platform, "POST", "/sandboxes", &body).await;
    let message = answer.json()["message"].to_string();
    assert_eq!(answer.status, 500, "{message}");
    assert!(
        message.contains("exit status: 4") && message.contains("broken: yes"),
        "{message}"
    );
    platform.stop().await;
}

/// Without a ready command, a sandbox exists before its start command has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_fails_as_soon_as_its_start_command_ends() {
    let local = TestPlatform::with(|builder| builder).await;
    let client = local.client();
    for (name, start, expected) in [
        ("failing", "echo the reason; exit 3", "exit status: 3"),
        ("killed", "echo the reason; kill -9 $$", "signal: 9"),
        ("ending", "echo the reason", "exit status: 0"),
        (
            "missing",
            "echo the reason; exec ./agent",
            "exit status: 127",
        ),
    ] {
        let spec = TemplateSpec::new(name).start_command(start);
        let template = local.template(spec).await;
        // The start timeout is longer than the deadline of the test.
        let session = client
            .create_session(&template)
            .start_timeout(Duration::from_secs(3600));
        let error = with_timeout("a failure", session).await.unwrap_err();
        let text = error.report().to_string();
        assert!(
            text.contains(expected) && text.contains("the reason"),
            "{name}: {text}"
        );
    }
    client.close().await.unwrap();
    local.stop().await;
}
