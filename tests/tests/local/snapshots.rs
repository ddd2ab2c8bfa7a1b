//! Pauses that keep only the files, snapshots and forks.

use ppio_sandbox_local::{IsolationKind, TemplateSpec};
use ppio_test_support::{RawAnswer, eventually_some, processes_marked};
use serde_json::{Value, json};

use crate::isolation_mode::IsolationMode;
use crate::raw_calls::{call, create, id, kill, shell, token};
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_without_memory_runs_the_start_command_again() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("starting")
            .start_command("echo started >> ~/starts; exec sleep 1000")
            .ready_command("test -s ~/starts");
        let template = platform.platform.build_template(spec).await.unwrap();
        let options = json!({"autoPause": true, "autoPauseMemory": false});
        let sandbox = create(&platform, &template.id, options).await;
        let path = |call: &str| format!("/sandboxes/{}/{call}", id(&sandbox));
        let count = "grep -c started ~/starts";
        // The start command also ran during the build, but no file of that run is left.
        assert_eq!(shell(&platform, &sandbox, count).await, "1\n", "{mode:?}");
        shell(&platform, &sandbox, "echo kept > ~/file; sleep 1000 & echo").await;

        let boot = "cat /proc/sys/kernel/random/boot_id";
        let first_boot = shell(&platform, &sandbox, boot).await;
        let paused = call(&platform, "POST", &path("pause"), &json!({"memory": false})).await;
        assert_eq!(paused.status, 204, "{paused:?}");
        assert_eq!(
            processes_marked(platform.platform.home()),
            [0; 0],
            "{mode:?}"
        );
        let resumed = call(
            &platform,
            "POST",
            &path("connect"),
            &json!({"timeout": 300}),
        )
        .await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        assert_eq!(token(&resumed.json()), token(&sandbox));
        assert_eq!(shell(&platform, &sandbox, "cat ~/file").await, "kept\n");
        // The file that the ready command checks has existed since the first start, so the line of
        // the second start may be written later.
        let starts = async |expected: &str| {
            eventually_some("the start command runs again", async || {
                let starts = shell(&platform, &sandbox, count).await;
                (starts == expected).then_some(())
            })
            .await;
        };
        starts("2\n").await;

        if mode.isolation == IsolationKind::Bubblewrap {
            assert_ne!(
                shell(&platform, &sandbox, boot).await,
                first_boot,
                "{mode:?}"
            );
        }

        // The sandbox's own timeout also pauses the sandbox without memory.
        let expired = call(&platform, "POST", &path("timeout"), &json!({"timeout": 0})).await;
        assert_eq!(expired.status, 204);
        eventually_some("the end of every process", async || {
            processes_marked(platform.platform.home())
                .is_empty()
                .then_some(())
        })
        .await;
        let host = format!("8080-{}.localhost", id(&sandbox));
        let traffic = platform.request("GET", "/", &[("host", &host)], b"").await;
        assert_eq!(traffic.status, 502, "traffic does not resume the sandbox");
        let resumed = call(&platform, "POST", &path("resume"), &json!({"timeout": 300})).await;
        assert_eq!(resumed.status, 201, "{resumed:?}");
        starts("3\n").await;

        // After a pause with memory, processes continue.
        let paused = call(&platform, "POST", &path("pause"), &json!({"memory": true})).await;
        assert_eq!(paused.status, 204, "{paused:?}");
        call(
            &platform,
            "POST",
            &path("connect"),
            &json!({"timeout": 300}),
        )
        .await;
        assert_eq!(shell(&platform, &sandbox, count).await, "3\n", "{mode:?}");
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_forks_have_the_files_and_run_the_start_command() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let spec = TemplateSpec::new("starting")
            .start_command("echo started >> ~/starts; exec sleep 1000")
            .ready_command("test -s ~/starts");
        let template = platform.platform.build_template(spec).await.unwrap();
        let options = json!({"envVars": {"KIND": "own"}, "metadata": {"of": "fork"}});
        let sandbox = create(&platform, &template.id, options).await;
        shell(
            &platform,
            &sandbox,
            "echo kept > ~/file; ln -s /etc/passwd ~/link; mkfifo ~/pipe",
        )
        .await;
        // The ready command already succeeds with the line of the first start; the line of the
        // second start may be written later.
        let look = "for _ in $(seq 400); do \
             test $(grep -c started ~/starts) -lt 2 || break; sleep 0.05; done; \
             cat ~/file; grep -c started ~/starts; echo $KIND; readlink ~/link";
        let expected = "kept\n2\nown\n/etc/passwd\n";

        let fork = format!("/sandboxes/{}/fork", id(&sandbox));
        let forks = call(
            &platform,
            "POST",
            &fork,
            &json!({"count": 2, "timeout": 300}),
        )
        .await;
        assert_eq!(forks.status, 201, "{mode:?}: {forks:?}");
        let forks: Vec<Value> = serde_json::from_slice(&forks.body).unwrap();
        let forks: Vec<_> = forks.iter().map(|fork| &fork["sandbox"]).collect();
        assert_eq!(forks.len(), 2);
        for fork in &forks {
            assert_ne!(id(fork), id(&sandbox));
            assert_eq!(shell(&platform, fork, look).await, expected, "{mode:?}");
            shell(&platform, fork, "echo changed > ~/file").await;
        }
        let query = "/v2/sandboxes?metadata=of%3Dfork";
        let listed = platform.request("GET", query, &[], b"").await.json();
        assert_eq!(listed.as_array().unwrap().len(), 3);
        // The original continues.
        let own = shell(&platform, &sandbox, "cat ~/file; grep -c started ~/starts").await;
        assert_eq!(own, "kept\n1\n", "{mode:?}");

        let snapshots = format!("/sandboxes/{}/snapshots", id(&sandbox));
        let unnamed = call(&platform, "POST", &snapshots, &json!({})).await;
        assert_eq!(unnamed.status, 201, "{mode:?}: {unnamed:?}");
        // A paused sandbox can have a snapshot, too.
        let pause = format!("/sandboxes/{}/pause", id(&sandbox));
        assert_eq!(
            call(&platform, "POST", &pause, &json!({})).await.status,
            204
        );
        let named = call(&platform, "POST", &snapshots, &json!({"name": "state:v1"})).await;
        assert_eq!(named.status, 201, "{mode:?}: {named:?}");
        kill(&platform, &sandbox).await;
        let snapshot_id =
            |answer: &RawAnswer| answer.json()["snapshotID"].as_str().unwrap().to_owned();
        for reference in [
            snapshot_id(&unnamed),
            snapshot_id(&named),
            "state:v1".to_owned(),
        ] {
            let copy = create(&platform, &reference, json!({})).await;
            assert_eq!(
                shell(&platform, &copy, look).await,
                expected,
                "{mode:?} {reference}"
            );
            kill(&platform, &copy).await;
        }
        for (query, count) in [
            (String::new(), 2),
            ("name=state".to_owned(), 1),
            ("name=state:v1".to_owned(), 1),
            ("name=state:v2".to_owned(), 0),
            ("name=other".to_owned(), 0),
            (format!("sandboxID={}", id(&sandbox)), 2),
            ("sandboxID=iabc".to_owned(), 0),
            ("limit=1".to_owned(), 1),
            ("limit=1&nextToken=1".to_owned(), 1),
            ("limit=1&nextToken=2".to_owned(), 0),
        ] {
            let listed = platform
                .request("GET", &format!("/snapshots?{query}"), &[], b"")
                .await;
            assert_eq!(listed.json().as_array().unwrap().len(), count, "{query}");
        }
        let templates = platform.request("GET", "/templates", &[], b"").await.json();
        assert_eq!(templates.as_array().unwrap().len(), 2, "{templates}");
        let path = format!("/templates/{}", snapshot_id(&unnamed));
        for status in [204, 404] {
            let deleted = platform.request("DELETE", &path, &[], b"").await;
            assert_eq!(deleted.status, status);
        }
        for path in [&fork, &snapshots] {
            let gone = call(&platform, "POST", path, &json!({})).await;
            assert_eq!(gone.status, 404, "{path}");
        }
        bad_copies_are_refused(&platform, forks[0]).await;
        for fork in forks {
            kill(&platform, fork).await;
        }
        platform.stop().await;
    }
}

async fn bad_copies_are_refused(platform: &TestPlatform, sandbox: &Value) {
    for (name, body, status) in [
        ("fork", json!({"count": 0}), 400),
        ("fork", json!({"count": 101}), 400),
        ("snapshots", json!({"name": "starting"}), 409),
        ("snapshots", json!({"name": "no name"}), 400),
    ] {
        let path = format!("/sandboxes/{}/{name}", id(sandbox));
        let answer = call(platform, "POST", &path, &body).await;
        assert_eq!(answer.status, status, "{body}");
    }
}
