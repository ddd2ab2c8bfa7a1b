//! Code of a sandbox has no rights over the machine, its kernel and its processes.

use std::fs;
use std::process::{Child, Command, Stdio};

use ppio_test_support::eventually_some;
use rustix::process::geteuid;

use crate::setting::{Platform, Setting, Start};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_no_capability_and_gains_none() {
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::Plain).await;
        let inside = platform.sandbox("base").await;
        for user in ["user", "root"] {
            let envd = inside.envd.clone().with_user(user);
            let command = ppio_agent_client::platform::Command::shell(
                "id -u; ulimit -c; cat /proc/self/status",
            );
            let output = envd.start(&command).await.unwrap().output().await.unwrap();
            let text = output.stdout_text();
            let mut lines = text.lines();
            assert_ne!(lines.next().unwrap(), "0", "{setting:?}: {text}");
            assert_eq!(
                lines.next(),
                Some("0"),
                "{setting:?}: core files are written"
            );
            let field = |name: &str| {
                let mut lines = text.lines();
                let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
                value.trim().to_owned()
            };
            assert_eq!(field("NoNewPrivs:"), "1", "{setting:?}");
            for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
                assert_eq!(field(set), "0000000000000000", "{setting:?}: {set}");
            }
            let ids = field("Uid:");
            assert!(
                !ids.split_whitespace().any(|id| id == "0"),
                "{setting:?}: {ids}"
            );
            if setting.as_root {
                assert_eq!(field("Groups:"), "", "{setting:?}");
            }
        }
        inside.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_of_root_run_as_different_users() {
    for setting in Setting::all() {
        if !setting.as_root {
            continue;
        }
        let platform = Platform::start(setting, Start::Plain).await;
        let (one, other) = (
            platform.sandbox("base").await,
            platform.sandbox("base").await,
        );
        let (first, second) = (one.shell("id -u").await, other.shell("id -u").await);
        assert_ne!(first, second, "{setting:?}");
        // Files that the platform creates in a sandbox belong to the sandbox's user, too.
        one.envd.write_file("/app/new/file", "text").await.unwrap();
        one.envd.make_dir("/app/made/below").await.unwrap();
        let line = "stat -c %u /app /app/new /app/new/file /app/made /app/made/below ~ | sort -u";
        let line = if setting.bubblewrap {
            line.to_owned()
        } else {
            line.replace(" /app", " \"$PPIO_LOCAL_SANDBOX\"/root/app")
        };
        assert_eq!(one.shell(&line).await, first, "{setting:?}");
        one.kill().await;
        other.kill().await;
    }
}

/// A kernel setting that can be changed without consequences.
const KERNEL_SETTING: &str = "/proc/sys/kernel/printk_ratelimit_burst";

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_kernel_cannot_be_written() {
    let before = fs::read_to_string(KERNEL_SETTING).unwrap();
    let changed: u32 = before.trim().parse::<u32>().unwrap() + 1;
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::Plain).await;
        let inside = platform.sandbox("base").await;
        let write = format!("echo {changed} > {KERNEL_SETTING}");
        for attempt in [
            write.clone(),
            format!("mount -o remount,rw /proc/sys; mount -o remount,rw,bind /proc/sys; {write}"),
            format!("umount /proc/sys; umount -l /proc/sys; {write}"),
            format!(
                "unshare -Urm sh -c 'mount -o remount,rw,bind /proc/sys; umount -l /proc/sys; \
                 {write}'"
            ),
            format!("unshare -Urpmf --mount-proc sh -c '{write}'"),
            format!(
                "mkdir -p /tmp/p; unshare -Urpmf sh -c 'mount -t proc proc /tmp/p; echo {changed} \
                 > /tmp/p/sys/kernel/printk_ratelimit_burst'"
            ),
            format!("sysctl -w kernel.printk_ratelimit_burst={changed}"),
        ] {
            let output = inside.shell(&attempt).await;
            let now = fs::read_to_string(KERNEL_SETTING).unwrap();
            if now != before {
                fs::write(KERNEL_SETTING, &before).unwrap();
            }
            assert_eq!(now, before, "{setting:?}: {attempt}: {output}");
        }
        for file in [
            "/proc/sysrq-trigger",
            "/proc/sys/kernel/core_pattern",
            "/proc/irq/default_smp_affinity",
        ] {
            let opened = inside
                .shell(&format!("(: >> {file}) 2>/dev/null && echo opened"))
                .await;
            assert_eq!(opened, "", "{setting:?}: {file} opens for writing");
        }
        if setting.bubblewrap {
            let shown = inside
                .shell("ls -A /sys; cat /proc/keys /proc/timer_list 2>/dev/null")
                .await;
            let shown = shown.lines().filter(|line| !line.starts_with("ls:"));
            assert_eq!(shown.count(), 0, "{setting:?}: data of the machine");
        }
        inside.kill().await;
    }
}

struct Victim(Child);

impl Victim {
    /// Starts a program outside of sandboxes, as the user that runs the tests.
    fn start() -> Self {
        let mut command = Command::new("sleep");
        let child = command.arg("600").stdin(Stdio::null()).spawn().unwrap();
        Self(child)
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_the_machine_cannot_be_killed_or_inspected() {
    for setting in Setting::confining() {
        let platform = Platform::start(setting, Start::Plain).await;
        let mut victim = Victim::start();
        let inside = platform.sandbox("base").await;
        let (pid, platform_pid) = (victim.0.id(), platform.running.pid());
        let output = inside
            .shell(&format!(
                "kill -9 {pid}; kill -9 {platform_pid}; cat /proc/{platform_pid}/environ \
                 /proc/{platform_pid}/maps; ls -l /proc/{platform_pid}/fd \
                 /proc/{platform_pid}/root/"
            ))
            .await;
        assert!(!output.contains("HOME="), "{setting:?}: {output}");
        assert!(!output.contains("[heap]"), "{setting:?}: {output}");
        assert!(
            victim.lives() && platform.running.is_running(),
            "{setting:?}"
        );

        // Kills every process that the sandbox can reach, including the process that holds the
        // sandbox's namespaces. Programs that are started in the sandbox afterwards do not run
        // outside of it, and the end of the sandbox ends no process of the machine.
        inside.shell("kill -9 -1; kill -9 1; kill -9 2").await;
        let namespace = inside.shell("readlink /proc/self/ns/mnt").await;
        if setting.bubblewrap && geteuid().is_root() {
            let own = fs::read_link("/proc/self/ns/mnt").unwrap();
            assert!(
                !namespace.contains(own.to_str().unwrap()),
                "{setting:?}: {namespace}"
            );
        }
        inside.kill().await;
        assert!(
            victim.lives() && platform.running.is_running(),
            "{setting:?}"
        );
        let run = platform.running.home().join("run");
        eventually_some("an end of everything in the sandbox", async || {
            let runs = fs::read_dir(&run).unwrap().flatten();
            let left: usize = runs
                .map(|run| fs::read_dir(run.path()).map_or(0, Iterator::count))
                .sum();
            (left == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_without_permissions_are_removed() {
    for setting in Setting::all() {
        let platform = Platform::start(setting, Start::Plain).await;
        let close = "cd ~ && mkdir -p a/b/c && touch a/b/c/d && chmod 0 a/b/c a/b a && echo closed";
        let inside = platform.sandbox("base").await;
        assert_eq!(inside.shell(close).await, "closed\n", "{setting:?}");
        inside.kill().await;

        // The test kills the platform, so the watchdog removes the directory of the second sandbox.
        let inside = platform.sandbox("base").await;
        assert_eq!(inside.shell(close).await, "closed\n", "{setting:?}");
        let run = platform.running.home().join("run");
        platform.end();
        eventually_some("files that outlive the platform", async || {
            (fs::read_dir(&run).unwrap().count() == 0).then_some(())
        })
        .await;
    }
}
