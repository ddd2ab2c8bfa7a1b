//! Chooses the isolation of a platform by running a trial sandbox.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use super::bubblewrap::{BubblewrapIsolation, Directories};
use super::cgroup::CgroupParent;
use super::interface::{Isolation, SandboxCommand};
use super::kind::IsolationKind;
use super::limits::{self, SandboxLimits};
use super::network::{Networks, SandboxNetwork};
use super::process_group::ProcessGroupIsolation;
use super::root::{prepare_directory, prepare_root};
use super::sandbox_processes::SandboxProcesses;
use super::unenforced::Substitutes;
use super::users::{SandboxUser, UserPool};
use crate::files::every_user_passes;
use crate::processes::{SystemPrograms, spawn};

/// An isolation with which a trial sandbox ran.
#[derive(Debug)]
pub(crate) struct ChosenIsolation {
    pub(crate) isolation: Arc<dyn Isolation>,
    pub(crate) substitutes: Substitutes,
    pub(crate) networks: Networks,
}

/// Why an isolation does not work on this machine.
#[derive(Debug)]
pub(crate) struct NoIsolation {
    pub(crate) kind: IsolationKind,
    pub(crate) reason: String,
}

/// Chooses the isolation: `wanted`, else the strongest one with which a trial sandbox runs.
pub(crate) async fn choose(
    wanted: Option<IsolationKind>,
    exposed: &[PathBuf],
    directories: Directories<'_>,
    users: &UserPool,
    cgroup: Option<&CgroupParent>,
) -> Result<ChosenIsolation, NoIsolation> {
    let failed = |kind| move |reason| NoIsolation { kind, reason };
    let kind = wanted.unwrap_or(IsolationKind::ProcessGroup);
    let programs = SystemPrograms::find().map_err(failed(kind))?;
    let run_trial = |isolation: Arc<dyn Isolation>, network| {
        let user = users.take().map_err(|error| error.to_string());
        async move { run_trial(isolation, directories.run, cgroup, network, user?).await }
    };
    if wanted != Some(IsolationKind::ProcessGroup) {
        let trial = match BubblewrapIsolation::new(exposed, &directories, programs.clone()) {
            Ok(bubblewrap) => {
                let isolation: Arc<dyn Isolation> = Arc::new(bubblewrap);
                let (trial, own_network) = tokio::join!(
                    run_trial(Arc::clone(&isolation), SandboxNetwork::Machine),
                    run_trial(Arc::clone(&isolation), SandboxNetwork::Loopback),
                );
                trial.map(|substitutes| ChosenIsolation {
                    isolation,
                    substitutes,
                    networks: Networks::new(own_network.map(drop)),
                })
            }
            Err(reason) => Err(reason),
        };
        match (trial, wanted) {
            (Ok(chosen), _) => return Ok(chosen),
            (Err(reason), Some(kind)) => return Err(failed(kind)(reason)),
            (Err(reason), None) => {
                tracing::warn!(%reason, "bubblewrap does not work here, sandboxes are process groups");
            }
        }
    }
    if users.are_own() {
        for path in exposed.iter().filter(|path| !every_user_passes(path)) {
            tracing::warn!(
                "sandboxes cannot use {}: they run as users of their own, which cannot enter a \
                 directory above it; put it elsewhere, or run the platform as an ordinary user",
                path.display()
            );
        }
    }
    let isolation = Arc::new(ProcessGroupIsolation::new(exposed, programs));
    let substitutes = run_trial(Arc::clone(&isolation) as _, SandboxNetwork::Machine)
        .await
        .map_err(failed(IsolationKind::ProcessGroup))?;
    Ok(ChosenIsolation {
        isolation,
        substitutes,
        networks: Networks::new(Err("its sandboxes are process groups".to_owned())),
    })
}

/// Runs one command in a temporary sandbox, because a program that is installed may still be
/// forbidden. The command prints its limits.
async fn run_trial(
    isolation: Arc<dyn Isolation>,
    run_directory: &Path,
    cgroup: Option<&CgroupParent>,
    network: SandboxNetwork,
    user: SandboxUser,
) -> Result<Substitutes, String> {
    let directory = run_directory.join(format!("trial-{network:?}").to_lowercase());
    let outcome: io::Result<_> = async {
        prepare_directory(&directory, &user)?;
        prepare_root(&directory.join("root"), user.owner())?;
        let has_taskset = isolation.programs().taskset.is_some();
        let counts = isolation.counts_processes(&user);
        let sandbox_processes = SandboxProcesses::open(
            Arc::clone(&isolation),
            directory.clone(),
            cgroup,
            SandboxLimits::default(),
            network,
            user,
        )
        .await?;
        let run = SandboxCommand {
            program: "/bin/cat".into(),
            arguments: vec!["/proc/self/limits".into()],
            directory: "/".into(),
            ..SandboxCommand::default()
        };
        let mut command = sandbox_processes.command(&run);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = match spawn(&mut command) {
            Ok(child) => child.wait_with_output().await,
            Err(error) => Err(error),
        };
        sandbox_processes.kill().await?;
        let output = output?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(complaint));
        }
        let limits = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Substitutes {
            processors: has_taskset,
            processes: counts && limits::bounds_processes(&limits),
        })
    }
    .await;
    let _ = std::fs::remove_dir_all(&directory);
    outcome.map_err(|error| error.to_string())
}
