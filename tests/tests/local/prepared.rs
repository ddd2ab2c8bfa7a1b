//! Sandboxes that the platform prepares in advance.

use std::fs;

use ppio_agent_client::platform::{Command, NewSandbox, Sandbox};
use ppio_sandbox_local::{IsolationKind, TemplateSpec};
use ppio_test_support::{eventually, eventually_some, processes_naming, sandbox_folders};
use rustix::process::{Pid, Signal, kill_process};

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const LIFE: std::time::Duration = std::time::Duration::from_secs(120);

async fn start(mode: IsolationMode) -> TestPlatform {
    TestPlatform::with(|builder| {
        builder
            .isolation(mode.isolation)
            .cgroups(mode.cgroups)
            .prepare_ahead(true)
    })
    .await
}

async fn create(platform: &TestPlatform, template: &str) -> Sandbox {
    let new = NewSandbox::new(template, LIFE);
    platform
        .client()
        .platform()
        .create_sandbox(&new)
        .await
        .unwrap()
}

/// Returns the ids of prepared sandboxes, including those that are still being prepared.
fn prepared(platform: &TestPlatform, sandboxes: &[Sandbox]) -> Vec<String> {
    let mut ids = platform.directories();
    ids.retain(|id| {
        !sandboxes
            .iter()
            .any(|sandbox| sandbox.sandbox_id.as_str() == id)
    });
    ids
}

/// Returns the ids of a sandbox's processes, which have the sandbox's id in their environment.
fn processes_of(id: &str) -> Vec<i32> {
    processes_naming(&[id.into()])
}

/// Whether a process is the shell with which the preparation of a sandbox ends.
fn is_first_process(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"/bin/sh\0-c\0"))
}

/// Shuts the platform down, and checks that no process and no file of its sandboxes is left.
async fn shut_down(platform: TestPlatform) {
    let home = platform.platform.home().to_owned();
    let folders = sandbox_folders(&home);
    platform.platform.shutdown().await.unwrap();
    assert_eq!(processes_naming(&folders), [0; 0], "processes are left");
    let runs = fs::read_dir(home.join("run")).unwrap();
    assert_eq!(runs.count(), 0, "files are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sandbox_is_a_prepared_one() {
    for mode in IsolationMode::all() {
        let platform = start(mode).await;
        let mut sandboxes = vec![create(&platform, "base").await];
        eventually_some("a prepared sandbox is used", async || {
            let ids = prepared(&platform, &sandboxes);
            let next = create(&platform, "base").await;
            let is_prepared = ids.contains(&next.sandbox_id);
            sandboxes.push(next);
            is_prepared.then_some(())
        })
        .await;
        assert_eq!(
            platform.platform.sandbox_count(),
            sandboxes.len(),
            "{mode:?}"
        );
        shut_down(platform).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_sandbox_that_ended_is_not_used() {
    for cgroups in [true, false] {
        let isolation = IsolationKind::Bubblewrap;
        let platform = start(IsolationMode { isolation, cgroups }).await;
        let first = create(&platform, "base").await;
        let mut killed = String::new();
        eventually("a prepared sandbox has its first process", || {
            let ids = prepared(&platform, std::slice::from_ref(&first));
            let [id] = &ids[..] else { return false };
            killed.clone_from(id);
            processes_of(id).into_iter().any(is_first_process)
        })
        .await;
        // Repeats until no process is left, because a process that is being started is found only
        // later.
        eventually("the sandbox's processes end", || {
            let pids = processes_of(&killed);
            for pid in &pids {
                let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
            }
            pids.is_empty()
        })
        .await;
        let second = create(&platform, "base").await;
        assert_ne!(second.sandbox_id, killed);
        eventually("the sandbox's files are removed", || {
            !platform.directories().contains(&killed)
        })
        .await;
        shut_down(platform).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_build_has_its_own_files() {
    let platform = start(IsolationMode::all()[0]).await;
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    let mut sandboxes = Vec::new();
    for content in ["first", "second"] {
        fs::write(&text, content).unwrap();
        let spec = TemplateSpec::new("text").file(&text, "/app/text");
        let template = platform.platform.build_template(spec).await.unwrap();
        for _ in 0..2 {
            let sandbox = create(&platform, &template.id).await;
            let client = platform.client();
            let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
            let process = envd.start(&Command::shell("cat text")).await.unwrap();
            assert_eq!(process.output().await.unwrap().stdout_text(), content);
            sandboxes.push(sandbox);
            eventually("a sandbox is prepared", || {
                !prepared(&platform, &sandboxes).is_empty()
            })
            .await;
        }
    }
    shut_down(platform).await;
}
