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
use crate::error::Error;
use crate::files::every_user_passes;
use crate::processes::{SystemPrograms, spawn};

/// An isolation with which a trial sandbox has run successfully.
#[derive(Debug)]
pub(crate) struct ChosenIsolation {
    pub(crate) isolation: Arc<dyn Isolation>,
    pub(crate) substitutes: Substitutes,
    pub(crate) networks: Networks,
}

/// The isolation that a platform must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedIsolation {
    pub(crate) kind: Option<IsolationKind>,
    /// Whether sandboxes with internet access must have a network of their own.
    pub(crate) isolated_network: bool,
}

/// Chooses the isolation: the wanted one, else the strongest one with which a trial sandbox runs.
pub(crate) async fn choose(
    wanted: WantedIsolation,
    exposed: &[PathBuf],
    directories: Directories<'_>,
    users: &UserPool,
    cgroup: Option<&CgroupParent>,
) -> Result<ChosenIsolation, Error> {
    let failed = |kind| move |reason| Error::Isolation { kind, reason };
    let kind = wanted.kind.unwrap_or(IsolationKind::ProcessGroup);
    let programs = SystemPrograms::find().map_err(failed(kind))?;
    let run_trial = |isolation: Arc<dyn Isolation>, network| {
        let user = users.take().map_err(|error| error.to_string());
        async move { run_trial(isolation, directories.run, cgroup, network, user?).await }
    };
    if wanted.kind != Some(IsolationKind::ProcessGroup) {
        let trial = match BubblewrapIsolation::new(exposed, &directories, programs.clone()) {
            Ok(bubblewrap) => {
                let isolation: Arc<dyn Isolation> = Arc::new(bubblewrap);
                let (trial, own_network) = tokio::join!(
                    run_trial(Arc::clone(&isolation), SandboxNetwork::Machine),
                    run_trial(Arc::clone(&isolation), SandboxNetwork::Loopback),
                );
                trial.map(|substitutes| (isolation, substitutes, own_network.map(drop)))
            }
            Err(reason) => Err(reason),
        };
        match (trial, wanted.kind) {
            (Ok((isolation, substitutes, own_network)), _) => {
                let mut with_internet = SandboxNetwork::Machine;
                if wanted.isolated_network {
                    with_internet = SandboxNetwork::Pasta;
                    run_trial(Arc::clone(&isolation), with_internet)
                        .await
                        .map_err(|reason| Error::Network { reason })?;
                }
                return Ok(ChosenIsolation {
                    isolation,
                    substitutes,
                    networks: Networks::new(with_internet, own_network),
                });
            }
            (Err(reason), Some(kind)) => return Err(failed(kind)(reason)),
            (Err(reason), None) if wanted.isolated_network => {
                return Err(Error::Network {
                    reason: format!("bubblewrap does not work: {reason}"),
                });
            }
            (Err(reason), None) => {
                tracing::warn!(%reason, "bubblewrap does not work here, sandboxes are process groups");
            }
        }
    }
    if wanted.isolated_network {
        return Err(Error::Network {
            reason: "the sandboxes are process groups, which share the network".to_owned(),
        });
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
        networks: Networks::new(
            SandboxNetwork::Machine,
            Err("the sandboxes are process groups".to_owned()),
        ),
    })
}

/// Runs one command in a temporary sandbox, because this machine may forbid the use of an installed
/// program. The command prints its limits.
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
