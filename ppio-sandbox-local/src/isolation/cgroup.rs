//! One cgroup (version 2) per sandbox, where this machine lets us make them.
//!
//! A cgroup freezes, thaws and kills everything in it at once, whatever its processes do to hide.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::enclosure::Limits;
use crate::identity;

/// How long the kernel may take to freeze or to end the processes of a cgroup.
const SETTLE: Duration = Duration::from_secs(5);
/// Threads and processes of one sandbox, so that a runaway one does not take the machine with it.
const MAX_TASKS: u32 = 4096;

/// The cgroup under which every sandbox of this platform gets its own.
#[derive(Debug, Clone)]
pub(crate) struct CgroupParent {
    path: PathBuf,
}

impl CgroupParent {
    /// Makes the parent cgroup below the one this process runs in, or says that it cannot be done.
    pub(crate) fn create() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
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
        // Limits need the controllers; freezing and killing do not, so refusal is no failure.
        let _ = fs::write(path.join("cgroup.subtree_control"), "+memory +cpu +pids");
        Some(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the cgroup of one sandbox.
    pub(crate) fn child(&self, name: &str, limits: Limits) -> io::Result<Cgroup> {
        let path = self.path.join(name);
        fs::create_dir(&path)?;
        let cgroup = Cgroup { path };
        cgroup.apply(limits);
        Ok(cgroup)
    }

    /// Ends what is still in any cgroup below and removes them all.
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

/// The cgroup of one sandbox.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn apply(&self, limits: Limits) {
        // Absent without the controller; the memory limit then falls to the resource limit.
        if limits.memory_bytes > 0 {
            let _ = fs::write(
                self.path.join("memory.max"),
                limits.memory_bytes.to_string(),
            );
        }
        if limits.cpu_count > 0 {
            let quota = u64::from(limits.cpu_count) * 100_000;
            let _ = fs::write(self.path.join("cpu.max"), format!("{quota} 100000"));
        }
        let _ = fs::write(self.path.join("pids.max"), MAX_TASKS.to_string());
    }

    /// Whether the kernel enforces the memory limit here.
    pub(crate) fn limits_memory(&self) -> bool {
        self.path.join("memory.max").exists()
    }

    /// Whether the kernel enforces the limit on processor time here.
    pub(crate) fn limits_processors(&self) -> bool {
        self.path.join("cpu.max").exists()
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

    /// Ends every process, frozen ones too, and removes the cgroup.
    pub(crate) async fn kill(&self) -> io::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        fs::write(self.path.join("cgroup.kill"), "1")?;
        self.wait_for("populated 0").await?;
        fs::remove_dir(&self.path)
    }

    async fn wait_for(&self, event: &str) -> io::Result<()> {
        let deadline = Instant::now() + SETTLE;
        let mut pause = Duration::from_micros(200);
        loop {
            let events = fs::read_to_string(self.path.join("cgroup.events"))?;
            if events.lines().any(|line| line == event) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message = format!("the kernel did not report `{event}` within {SETTLE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}
