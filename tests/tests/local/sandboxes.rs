//! Sandboxes of the local platform in every isolation mode: kill, pause, limits, timeouts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ppio_agent_client::platform::{Command, Envd, NewSandbox, Sandbox};
use ppio_agent_client::{AgentRuntimeClient, Error, SessionStatus};
use ppio_sandbox_local::{IsolationKind, TemplateSpec};
use ppio_test_support::{
    eventually, eventually_some, processes_naming, processes_running as running,
};
use serde_json::json;

use crate::isolation_mode::IsolationMode;
use crate::test_platform::TestPlatform;

const LIFE: Duration = Duration::from_secs(120);

/// Creates a sandbox, and returns it with its daemon.
async fn create(client: &AgentRuntimeClient, template: &str) -> (Sandbox, Envd) {
    let sandbox = client
        .platform()
        .create_sandbox(&NewSandbox::new(template, LIFE))
        .await
        .unwrap();
    let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
    (sandbox, envd)
}

/// Runs a shell command in the sandbox and returns its output.
async fn shell(envd: &Envd, line: &str) -> String {
    let process = envd.start(&Command::shell(line)).await.unwrap();
    let output = process.output().await.unwrap();
    format!("{}{}", output.stdout_text(), output.stderr_text())
}

/// Returns the folder on this machine that contains the files of a sandbox.
fn root_of(platform: &TestPlatform, sandbox: &Sandbox) -> PathBuf {
    let run = fs::read_dir(platform.platform.home().join("run")).unwrap();
    let run = run.flatten().next().unwrap().path();
    run.join(&sandbox.sandbox_id).join("root")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_detached_processes() {
    for (number, mode) in IsolationMode::all().into_iter().enumerate() {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let (sandbox, envd) = create(&client, "base").await;
        // No other program sleeps for this number of seconds.
        let seconds = format!("31{number}{}", std::process::id());
        let line = format!(
            "sleep {seconds} & setsid sleep {seconds} & env -i sleep {seconds} & \
             sh -c 'setsid env -i sleep {seconds} & wait' & \
             (setsid env -i sleep {seconds} >/dev/null 2>&1 &) ; \
             name=$(printf '\\377'); cp \"$(command -v sleep)\" \"$name\"; \
             (setsid env -i \"./$name\" {seconds} >/dev/null 2>&1 &) ; \
             sh -c 'trap \"\" TERM INT HUP; sleep {seconds}; true' & echo started"
        );
        assert_eq!(shell(&envd, &line).await, "started\n");
        eventually_some("seven sleepers", async || {
            (running(&seconds).len() == 7).then_some(())
        })
        .await;

        assert!(
            client
                .platform()
                .kill_sandbox(&sandbox.sandbox_id)
                .await
                .unwrap()
        );
        assert_eq!(running(&seconds), [0; 0], "{mode:?}");
        assert!(!root_of(&platform, &sandbox).exists());
        platform.stop().await;
    }
}

/// Runs the script `ticking` outside of the sandboxes until it has ticked ten times.
async fn tick_ten_times(ticking: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticks");
    let _process = tokio::process::Command::new("sh")
        .args(["-c", ticking])
        .arg(&file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("ten ticks", || {
        fs::metadata(&file).is_ok_and(|file| file.len() >= 20)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_no_zombies() {
    // If the platform left zombies, the machine's init process would have to reap those whose
    // parents were killed first.
    let platform = TestPlatform::start(IsolationMode {
        isolation: IsolationKind::Bubblewrap,
        cgroups: false,
    })
    .await;
    let client = platform.client();
    for paused in [false, true] {
        let (sandbox, envd) = create(&client, "base").await;
        let command = Command::shell("sleep 1000 & exec sleep 1000");
        let _sleeping = envd.start(&command).await.unwrap();
        let id = sandbox.sandbox_id.clone();
        let pids = eventually_some("the processes of the sandbox", async || {
            let pids = processes_naming(&[id.clone().into()]);
            (pids.len() >= 5).then_some(pids)
        })
        .await;
        if paused {
            client.platform().pause_sandbox(&id).await.unwrap();
        }
        assert!(client.platform().kill_sandbox(&id).await.unwrap());
        let is_there = |pid: &&i32| Path::new(&format!("/proc/{pid}")).exists();
        let left: Vec<_> = pids.iter().filter(is_there).collect();
        assert_eq!(left, [&0; 0], "paused: {paused}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_detached_processes() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let (sandbox, envd) = create(&client, "base").await;
        let ticking = "while :; do echo x >> \"$0\"; sleep 0.01; done";
        let line = format!(
            "cd ~; sh -c '{ticking}' seen & env -i PATH=\"$PATH\" sh -c '{ticking}' hidden & \
             (setsid env -i PATH=\"$PATH\" sh -c '{ticking}' lost >/dev/null 2>&1 &) ; echo started"
        );
        assert_eq!(shell(&envd, &line).await, "started\n");
        let home = root_of(&platform, &sandbox).join("home/user");
        let size = |name: &str| fs::metadata(home.join(name)).map_or(0, |file| file.len());
        let sizes = || ["seen", "hidden", "lost"].map(size);
        let grown = |before: [u64; 3]| {
            let mut pairs = sizes().into_iter().zip(before);
            pairs.all(|(now, before)| now > before).then_some(())
        };
        eventually_some("ticks", async || grown([0; 3])).await;

        let platform_api = client.platform();
        assert!(
            platform_api
                .pause_sandbox(&sandbox.sandbox_id)
                .await
                .unwrap()
        );
        let before = sizes();
        tick_ten_times(ticking).await;
        assert_eq!(sizes(), before, "{mode:?}");
        let path = format!("/sandboxes/{}/pause", sandbox.sandbox_id);
        assert_eq!(platform.request("POST", &path, &[], b"").await.status, 409);
        for port in ["49983", "8080"] {
            let host = format!("{port}-{}.localhost", sandbox.sandbox_id);
            let answer = platform
                .request("GET", "/health", &[("host", &host)], b"")
                .await;
            assert_eq!((answer.status, &answer.json()["code"]), (502, &json!(502)));
            assert!(
                answer.json()["message"]
                    .as_str()
                    .unwrap()
                    .contains("paused")
            );
        }

        let again = platform_api
            .connect_sandbox(&sandbox.sandbox_id, LIFE)
            .await;
        again.unwrap();
        eventually_some("ticks after the pause", async || grown(before)).await;
        platform_api
            .pause_sandbox(&sandbox.sandbox_id)
            .await
            .unwrap();
        // A sandbox whose processes are stopped can also be killed.
        assert!(
            platform_api
                .kill_sandbox(&sandbox.sandbox_id)
                .await
                .unwrap()
        );
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_template_are_enforced() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        let client = platform.client();
        let small = TemplateSpec::new("small").memory_mb(64).cpu_count(1);
        let large = TemplateSpec::new("large").memory_mb(1024).cpu_count(64);
        for (spec, fits) in [(small, false), (large, true)] {
            let template = platform.platform.build_template(spec).await.unwrap();
            let (sandbox, envd) = create(&client, &template.id).await;
            // `tail` keeps in memory what it will print at the end.
            let line = "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c";
            let kept = shell(&envd, line).await.contains("200000000");
            assert_eq!(kept, fits, "{mode:?}");
            let processors: usize = shell(&envd, "nproc").await.trim().parse().unwrap();
            let all = std::thread::available_parallelism().unwrap().get();
            // A cgroup limits the processor time, so the sandbox can use all processors.
            let by_cgroup = mode.cgroups && cgroups_limit_processors();
            let expected = if fits || by_cgroup { all } else { 1 };
            assert_eq!(processors, expected, "{mode:?}");
            client
                .platform()
                .kill_sandbox(&sandbox.sandbox_id)
                .await
                .unwrap();
        }
        platform.stop().await;
    }
}

fn cgroups_limit_processors() -> bool {
    fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control")
        .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "cpu"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_kills_or_pauses_and_can_be_changed() {
    let platform = TestPlatform::with(|builder| builder).await;
    let client = platform.client();
    let api = client.platform();
    let second = Duration::from_secs(1);

    let killed = api
        .create_sandbox(&NewSandbox::new("base", second))
        .await
        .unwrap();
    let mut auto_pause = NewSandbox::new("base", second);
    auto_pause.auto_pause = true;
    let paused = api.create_sandbox(&auto_pause).await.unwrap();
    let kept = api
        .create_sandbox(&NewSandbox::new("base", second))
        .await
        .unwrap();
    api.set_sandbox_timeout(&kept.sandbox_id, LIFE)
        .await
        .unwrap();
    // A refresh or a connect never shortens the timeout.
    let set = api.get_sandbox(&kept.sandbox_id).await.unwrap().end_at;
    api.refresh_sandbox(&kept.sandbox_id, second).await.unwrap();
    api.connect_sandbox(&kept.sandbox_id, second).await.unwrap();
    assert_eq!(api.get_sandbox(&kept.sandbox_id).await.unwrap().end_at, set);

    eventually_some("the end of a sandbox", async || {
        (platform.platform.sandbox_count() == 2).then_some(())
    })
    .await;
    let gone = api.get_sandbox(&killed.sandbox_id).await;
    assert!(
        matches!(gone, Err(Error::SessionNotFound { .. })),
        "{gone:?}"
    );
    let host = format!("8080-{}.localhost", killed.sandbox_id);
    let answer = platform.request("GET", "/", &[("host", &host)], b"").await;
    assert_eq!((answer.status, &answer.json()["code"]), (502, &json!(502)));

    let session = client
        .get_session(&paused.sandbox_id)
        .await
        .unwrap()
        .unwrap();
    eventually_some("a paused sandbox", async || {
        let status = session.get_status().await.unwrap();
        (status == SessionStatus::Paused).then_some(())
    })
    .await;
    let envd = client.envd(&paused.address(), paused.envd_access_token.as_ref());
    api.connect_sandbox(&paused.sandbox_id, LIFE).await.unwrap();
    assert_eq!(shell(&envd, "echo awake").await, "awake\n");

    for sandbox in [&paused, &kept] {
        assert!(api.kill_sandbox(&sandbox.sandbox_id).await.unwrap());
    }
    platform.stop().await;
}

/// The number of times that each call is made while a program swaps a directory with a link.
const SWAPPED_CALLS: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn swapped_links_cannot_redirect_calls_out_of_a_sandbox() {
    // The test neither freezes nor kills, so cgroups do not matter.
    let all = IsolationMode::all().into_iter();
    for mode in all.filter(|mode| !mode.cgroups) {
        let platform = TestPlatform::start(mode).await;
        let outside = tempfile::tempdir().unwrap();
        let (secret, precious) = (
            outside.path().join("secret"),
            outside.path().join("precious"),
        );
        fs::write(&secret, "outside the sandbox").unwrap();
        fs::create_dir(&precious).unwrap();
        let spec = TemplateSpec::new("swapping")
            .binary(env!("CARGO_BIN_EXE_swapping-links"))
            .start_command(format!(
                "exec ./swapping-links '{}'",
                outside.path().display()
            ));
        let template = platform.platform.build_template(spec).await.unwrap();
        let client = platform.client();
        let (sandbox, envd) = create(&client, &template.id).await;
        let ready = root_of(&platform, &sandbox).join("app/ready");
        eventually_some("a program that swaps links", async || {
            ready.exists().then_some(())
        })
        .await;

        // A call that encounters the link in place of `/app/door` is refused: the target of the
        // link does not exist in the sandbox.
        let mut read = 0;
        for number in 0..SWAPPED_CALLS {
            let planted = format!("/app/door/planted-{}", number % 5);
            if let Ok(text) = envd.read_file("/app/door/secret").await {
                assert_eq!(text, "inside", "{mode:?}");
                read += 1;
            }
            if let Ok(info) = envd.stat("/app/door/secret").await {
                assert_eq!(info.size, 6, "{mode:?}");
            }
            for info in envd.list_dir("/app/door", 2).await.unwrap_or_default() {
                assert_ne!(info.name, "precious", "{mode:?}");
            }
            let _ = envd.write_file(&planted, "planted").await;
            let _ = envd.make_dir(&format!("{planted}-directory/below")).await;
            let _ = envd.rename("/app/door/precious", &planted).await;
            let _ = envd.rename(&planted, "/app/door/moved").await;
            let _ = envd.remove("/app/door/precious").await;
        }
        assert!(read > 0, "{mode:?}: no call succeeded");
        assert_eq!(fs::read(&secret).unwrap(), b"outside the sandbox");
        let mut left: Vec<_> = fs::read_dir(outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["precious", "secret"], "{mode:?}");
        assert!(
            client
                .platform()
                .kill_sandbox(&sandbox.sandbox_id)
                .await
                .unwrap()
        );
        platform.stop().await;
    }
}
