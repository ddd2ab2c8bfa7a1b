//! One cgroup (version 2) per sandbox, where the platform can create them.
//!
//! A cgroup freezes, thaws and kills all of its processes; no process can leave it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::limits::{MAX_TASKS, SandboxLimits};
use crate::identity;

/// For the kernel to freeze or to end the processes of a cgroup.
const CGROUP_EVENT_TIMEOUT: Duration = Duration::from_secs(5);
/// The cgroup under which every sandbox of this platform gets its own.
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
    /// Creates the parent cgroup below the one of this process. `None` where that is not possible.
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

    /// The limits that hold in every cgroup that [`CgroupParent::child`] makes.
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
        fs::write(self.path.join("cgroup.kill"), "1")?;
        self.wait_for("populated 0").await?;
        fs::remove_dir(&self.path)
    }

    async fn wait_for(&self, event: &str) -> io::Result<()> {
        let deadline = Instant::now() + CGROUP_EVENT_TIMEOUT;
        let mut pause = Duration::from_micros(200);
        loop {
            let events = fs::read_to_string(self.path.join("cgroup.events"))?;
            if events.lines().any(|line| line == event) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let message =
                    format!("the kernel did not report `{event}` within {CGROUP_EVENT_TIMEOUT:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}
