//! One cgroup (version 2) per sandbox, if the platform can create them.
//!
//! A cgroup freezes, thaws and kills all of its processes. A process can leave its cgroup only if
//! its user may write to the cgroups of the machine: on a platform of an ordinary user, in a
//! sandbox that is a process group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::limits::{MAX_TASKS, SandboxLimits};
use crate::identity;

/// The longest time that the kernel may take to freeze or end the processes of a cgroup.
const CGROUP_EVENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two attempts to end the processes of a cgroup.
const KILL_INTERVAL: Duration = Duration::from_micros(500);
/// The state of a cgroup without processes.
const UNPOPULATED: &str = "populated 0";

/// The cgroup below which every sandbox of this platform gets a cgroup of its own.
#[derive(Debug, Clone)]
pub(crate) struct CgroupParent {
    path: PathBuf,
    controllers: CgroupControllers,
}

/// The limits that the kernel enforces in the cgroups of sandboxes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CgroupControllers {
    pub(crate) memory: bool,
    pub(crate) cpu: bool,
    pub(crate) pids: bool,
}

impl CgroupControllers {
    pub(super) fn any(self) -> bool {
        self.memory || self.cpu || self.pids
    }
}

impl CgroupParent {
    /// Creates the parent cgroup below the one of this process. `None` if that is not possible.
    pub(crate) fn create() -> Option<Self> {
        // The path of a mount may contain any byte.
        let mounts = fs::read("/proc/self/mounts").ok()?;
        let mounts = String::from_utf8_lossy(&mounts);
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ');
            let (_, target, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(target))
        })?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let path = mount
            .join(own)
            .join(format!("ppio-local-{}", identity::short_id('p')));
        fs::create_dir(&path).ok()?;
        if !path.join("cgroup.freeze").exists() || !path.join("cgroup.kill").exists() {
            let _ = fs::remove_dir(&path);
            return None;
        }
        // Limits need the controllers; freezing and killing do not. Enabled one by one, because one
        // write with a missing controller enables none.
        for controller in ["+memory", "+cpu", "+pids"] {
            let _ = fs::write(path.join("cgroup.subtree_control"), controller);
        }
        let mut parent = Self {
            path,
            controllers: CgroupControllers::default(),
        };
        parent.controllers = parent.probe().unwrap_or_default();
        Some(parent)
    }

    /// Sets every limit of a temporary cgroup and returns which writes the kernel accepts.
    fn probe(&self) -> io::Result<CgroupControllers> {
        let path = self.path.join("probe");
        fs::create_dir(&path)?;
        let accepts = |file: &str, limit: &str| fs::write(path.join(file), limit).is_ok();
        let controllers = CgroupControllers {
            memory: accepts("memory.max", "max"),
            cpu: accepts("cpu.max", "max"),
            pids: accepts("pids.max", "max"),
        };
        fs::remove_dir(path)?;
        Ok(controllers)
    }

    /// Returns the limits that hold in every cgroup that [`CgroupParent::child`] creates.
    pub(crate) fn controllers(&self) -> CgroupControllers {
        self.controllers
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the cgroup of one sandbox.
    pub(crate) fn child(&self, name: &str, limits: SandboxLimits) -> io::Result<Cgroup> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        let cgroup = Cgroup { path };
        self.apply(&cgroup, limits)?;
        Ok(cgroup)
    }

    /// Writes the limits that [`CgroupParent::probe`] found to be enforced.
    fn apply(&self, cgroup: &Cgroup, limits: SandboxLimits) -> io::Result<()> {
        let write = |file: &str, limit: String| {
            let path = cgroup.path.join(file);
            fs::write(&path, &limit).map_err(|error| {
                let message = format!("failed to write {limit} to {}: {error}", path.display());
                io::Error::new(error.kind(), message)
            })
        };
        if self.controllers.memory && limits.memory_bytes > 0 {
            write("memory.max", limits.memory_bytes.to_string())?;
        }
        if self.controllers.cpu && limits.cpu_count > 0 {
            let quota = u64::from(limits.cpu_count) * 100_000;
            write("cpu.max", format!("{quota} 100000"))?;
        }
        if self.controllers.pids {
            write("pids.max", MAX_TASKS.to_string())?;
        }
        Ok(())
    }

    /// Kills all processes in the cgroups below and removes the cgroups.
    pub(crate) async fn remove(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.is_dir() {
                Cgroup { path }.kill().await?;
            }
        }
        fs::remove_dir(&self.path)
    }
}

/// Removes a cgroup without processes, and those below it that a sandbox may have created.
fn remove_cgroups(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_cgroups(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// The cgroup of one sandbox.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn pids(&self) -> io::Result<Vec<i32>> {
        let text = fs::read_to_string(self.path.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    pub(crate) async fn freeze(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.freeze"), "1")?;
        self.wait_for("frozen 1").await
    }

    pub(crate) async fn thaw(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.freeze"), "0")?;
        self.wait_for("frozen 0").await
    }

    /// Kills every process, frozen ones too, and removes the cgroup.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let deadline = Instant::now() + CGROUP_EVENT_TIMEOUT;
        loop {
            // Repeated on each attempt, because a process that is just starting may join meanwhile.
            fs::write(self.path.join("cgroup.kill"), "1")?;
            let removed = if self.has(UNPOPULATED)? {
                remove_cgroups(&self.path)
            } else {
                Err(io::ErrorKind::ResourceBusy.into())
            };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                removed => return removed,
            }
            if Instant::now() >= deadline {
                return Err(timed_out(UNPOPULATED));
            }
            tokio::time::sleep(KILL_INTERVAL).await;
        }
    }

    async fn wait_for(&self, event: &str) -> io::Result<()> {
        let deadline = Instant::now() + CGROUP_EVENT_TIMEOUT;
        let mut pause = Duration::from_micros(200);
        loop {
            if self.has(event)? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(timed_out(event));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// Whether the cgroup's state, as the kernel reports it, has this line.
    fn has(&self, state: &str) -> io::Result<bool> {
        let events = fs::read_to_string(self.path.join("cgroup.events"))?;
        Ok(events.lines().any(|line| line == state))
    }
}

fn timed_out(state: &str) -> io::Error {
    let message = format!("the kernel did not report `{state}` within {CGROUP_EVENT_TIMEOUT:?}");
    io::Error::new(io::ErrorKind::TimedOut, message)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use ppio_test_support::Requirement;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cgroup_is_removed_while_processes_join_it() {
        let parent = CgroupParent::create();
        if !Requirement::Cgroup.check(parent.is_some()) {
            return;
        }
        let parent = parent.unwrap();
        for round in 0..20 {
            let cgroup = parent
                .child(&format!("sandbox-{round}"), SandboxLimits::default())
                .unwrap();
            // A sandbox of an ordinary user could create a cgroup below its own.
            fs::create_dir_all(cgroup.path.join("made/below")).unwrap();
            let ended = Arc::new(AtomicBool::new(false));
            let joining = Arc::clone(&ended);
            let procs = cgroup.path.join("cgroup.procs");
            let starting = std::thread::spawn(move || {
                let mut children = Vec::new();
                while !joining.load(Ordering::Acquire) {
                    let line = "echo 0 2>/dev/null > \"$0\" && exec sleep 60";
                    let mut command = Command::new("/bin/sh");
                    command.args(["-c", line]).arg(&procs);
                    children.push(command.stderr(Stdio::null()).spawn().unwrap());
                }
                children
            });
            while cgroup.pids().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
            let killed = cgroup.kill().await;
            ended.store(true, Ordering::Release);
            let children = starting.join().unwrap();
            let is_left = cgroup.path.exists();
            for mut child in children {
                let _ = child.kill();
                child.wait().unwrap();
            }
            assert!(killed.is_ok() && !is_left, "{round}: {killed:?}");
        }
        parent.remove().await.unwrap();
    }
}
