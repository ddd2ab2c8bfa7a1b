//! Code of a sandbox cannot exhaust the machine if the platform reports that a limit is enforced.

use ppio_test_support::{eventually_some, processes_running};
use serde_json::json;

use crate::setting::{Platform, Setting, Start};

/// The largest number of processes and threads in a sandbox.
const MAX_TASKS: usize = 4096;

fn unenforced(platform: &Platform, resource: &str) -> bool {
    let limits = platform.running.unenforced_limits();
    limits.iter().any(|limit| limit.resource() == resource)
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_limited() {
    for (number, setting) in Setting::all().into_iter().enumerate() {
        let platform = Platform::start(setting, Start::UsesAllProcesses).await;
        if unenforced(&platform, "processes") {
            assert_eq!((setting.as_root, setting.bubblewrap), (false, false));
            continue;
        }
        let inside = platform.sandbox("base").await;
        // No other program sleeps for this number of seconds.
        let seconds = format!("35{number}{}", std::process::id());
        let line = format!(
            "i=0; while [ $i -lt {} ]; do sleep {seconds} & i=$((i+1)); done; echo all",
            MAX_TASKS + 500
        );
        let output = inside.shell(&line).await;
        assert!(
            !output.contains("all"),
            "{setting:?}: the tasks are not limited: {output}"
        );
        let count = processes_running(&seconds).len();
        assert!((100..=MAX_TASKS).contains(&count), "{setting:?}: {count}");
        // A sandbox that has reached the limit can also be killed.
        inside.kill().await;
        eventually_some("an end of the processes", async || {
            processes_running(&seconds).is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_files_are_limited() {
    for setting in Setting::with_bubblewrap() {
        let platform = Platform::start(setting, Start::Plain).await;
        let template = platform
            .template("small", json!({"memoryMB": 128}), json!([]))
            .await;
        let inside = platform.sandbox(&template).await;
        let line = "head -c 300000000 /dev/zero 2>/dev/null > /dev/shm/x; stat -c %s /dev/shm/x";
        let output = inside.shell(line).await;
        let size: usize = output.lines().last().unwrap().parse().unwrap();
        assert!((1..200_000_000).contains(&size), "{setting:?}: {output}");
        let output = inside
            .shell("head -c 10 /dev/zero > /dev/x && echo written")
            .await;
        assert!(!output.contains("written"), "{setting:?}: {output}");
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unenforced_limits_are_listed() {
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::Plain).await;
        let inside = platform.sandbox("base").await;
        let limits = inside.shell("cat /proc/self/limits").await;
        let unlimited = |name: &str| {
            let mut lines = limits.lines();
            let line = lines.find(|line| line.starts_with(name)).unwrap();
            line.contains("unlimited")
        };
        assert!(!unlimited("Max file size"), "{setting:?}: {limits}");
        assert!(!unlimited("Max open files"), "{setting:?}: {limits}");
        if unenforced(&platform, "memory") {
            assert!(!unlimited("Max data size"), "{setting:?}: {limits}");
        }
        assert!(unenforced(&platform, "disk"));
        inside.kill().await;
    }
}
