//! Creates sandboxes from templates.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, watch};

use super::create_error::CreateError;
use super::ingress::SandboxIngress;
use super::instance::{AGENT_PORT, LocalSandbox};
use super::lifetime::{Lifetime, OnTimeout, PauseKind, SandboxPhase};
use super::logs::LogBuffer;
use super::metrics::MetricHistory;
use super::ports::ReservedPort;
use super::prepared::remove_unstarted;
use super::process_table::ProcessTable;
use super::registry::SandboxRegistry;
use super::spare_sandboxes::PreparedSandbox;
use super::template_image::{StartCommands, TemplateImage};
use super::verified_listeners::VerifiedListeners;
use crate::identity;
use crate::isolation::{DEFAULT_PATH, SandboxNetwork};

/// The checked settings of a sandbox to be created.
#[derive(Debug)]
pub(crate) struct SandboxRequest {
    pub(crate) template: TemplateImage,
    pub(crate) timeout: Duration,
    pub(crate) on_timeout: OnTimeout,
    pub(crate) auto_resume: bool,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) ingress: SandboxIngress,
    pub(crate) network: SandboxNetwork,
    /// Whether more sandboxes of this template are expected, so that the next one is prepared.
    pub(crate) prepare_next: bool,
}

impl SandboxRegistry {
    /// Creates and starts a sandbox, and waits until the ready command of its template succeeds.
    /// After a failure, nothing of the sandbox remains.
    pub(crate) async fn create(
        self: &Arc<Self>,
        new: SandboxRequest,
    ) -> Result<Arc<LocalSandbox>, CreateError> {
        let place = self.reserve()?;
        let registry = Arc::clone(self);
        // Runs in its own task, which is not cancelled when the caller disconnects.
        let creation = tokio::spawn(async move {
            let network = new.network;
            let agent_port = if network.is_own() {
                None
            } else {
                Some(registry.ports().take().ok_or(CreateError::NoPort)?)
            };
            let image = new.template.clone();
            let prepare_next = new.prepare_next;
            let prepared = registry.prepared(&image, network).await?;
            let id = prepared.id.clone();
            let directory = prepared.sandbox_processes.directory().to_owned();
            let started = registry.start(new, prepared, agent_port).await;
            drop(place);
            match started {
                Ok(sandbox) => {
                    if prepare_next {
                        tokio::spawn(registry.prepare_spare(image, network));
                    }
                    Ok(sandbox)
                }
                Err(error) => {
                    let _ = registry.kill(&id).await;
                    remove_unstarted(&id, &directory).await;
                    Err(error)
                }
            }
        });
        creation.await.unwrap_or(Err(CreateError::ShuttingDown))
    }

    async fn start(
        self: &Arc<Self>,
        new: SandboxRequest,
        prepared: PreparedSandbox,
        agent_port: Option<ReservedPort>,
    ) -> Result<Arc<LocalSandbox>, CreateError> {
        let id = prepared.id;
        let mut environment: BTreeMap<String, String> = [
            ("PATH", DEFAULT_PATH),
            ("LANG", "C.UTF-8"),
            ("PPIO_SANDBOX", "true"),
            ("PPIO_SANDBOX_ID", id.as_str()),
            ("PPIO_TEMPLATE_ID", &new.template.template_id),
            ("E2B_SANDBOX", "true"),
            ("E2B_SANDBOX_ID", &id),
            ("E2B_TEMPLATE_ID", &new.template.template_id),
            ("PPIO_AGENT_HOST", "127.0.0.1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let real_port = agent_port.as_ref().map_or(AGENT_PORT, ReservedPort::number);
        environment.insert("PPIO_AGENT_PORT".into(), real_port.to_string());
        environment.extend(new.template.environment.clone());
        environment.extend(new.environment);

        let started_at = SystemTime::now();
        let lifetime = Lifetime {
            phase: SandboxPhase::Running,
            end_at: started_at + new.timeout,
            on_timeout: new.on_timeout,
            paused: PauseKind::Memory,
        };
        let sandbox = Arc::new(LocalSandbox {
            id,
            template_id: new.template.template_id,
            alias: new.template.alias,
            metadata: new.metadata,
            cpu_count: new.template.cpu_count,
            memory_mb: new.template.memory_mb,
            started_at,
            access_token: identity::secret(),
            auto_resume: new.auto_resume,
            timeout_seconds: new.timeout.as_secs(),
            agent_port,
            verified_listeners: VerifiedListeners::default(),
            environment,
            directory: new.template.directory,
            start: StartCommands {
                command: new.template.start_command,
                ready: new.template.ready_command,
                user: new.template.user.unwrap_or_default(),
            },
            started: RwLock::default(),
            ingress: new.ingress,
            sandbox_processes: RwLock::new(Arc::new(prepared.sandbox_processes)),
            cgroups: self.cgroup().cloned(),
            processes: ProcessTable::default(),
            logs: Arc::new(LogBuffer::default()),
            metrics: MetricHistory::default(),
            watches: Arc::default(),
            lifetime: watch::Sender::new(lifetime),
            change: Mutex::new(()),
            starts: RwLock::default(),
        });
        self.insert(&sandbox).await?;
        sandbox.run_start_command().await?;
        // The timeout starts when the sandbox is ready.
        sandbox.set_timeout(new.timeout);
        // The task ends when the sandbox is gone.
        tokio::spawn(Arc::clone(&sandbox).watch_expiry(Arc::downgrade(self)));
        Ok(sandbox)
    }
}
