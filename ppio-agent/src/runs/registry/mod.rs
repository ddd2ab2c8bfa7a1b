//! The registry of an agent's runs: it keeps them, finds them for callers, and drops them.

mod index;
mod recording;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use http::{HeaderMap, HeaderValue};
use ppio_agent_protocol::RunStatus;
use ppio_agent_protocol::headers::UNKNOWN_INSTANCE;
use tokio::runtime::Handle;
use tokio::time::{Duration, Instant, sleep_until};

use self::index::{Index, KeyUse};
use super::RunSettings;
use super::caller::{Fingerprints, RunCaller};
use super::inspected_tasks::InspectedTasks;
use super::journal::Journal;
use super::journal::record::{Record, RunStart, milliseconds};
use super::options::RunOptions;
use super::run::{NewRun, Run, RunOwner, RunView};
#[cfg(feature = "chat")]
use super::tag::RunTag;
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::RequestId;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::exchange::task_tracker::TaskTracker;

/// The runs of one agent.
pub(crate) struct RunRegistry {
    settings: RunSettings,
    fingerprints: OnceLock<Fingerprints>,
    instance: OnceLock<HeaderValue>,
    /// The journal, or the text of the error if it cannot be used.
    journal: OnceLock<Result<Journal, String>>,
    /// The runtime for the task that drops expired runs, since the journal's thread has no runtime.
    runtime: OnceLock<Handle>,
    /// Counts the tasks of running runs, and other tasks that a shutdown waits for.
    tasks: TaskTracker,
    inspected_tasks: InspectedTasks,
    total_size: Arc<AtomicUsize>,
    /// The number of running runs with the policy `continue`.
    continuing: AtomicUsize,
    index: Mutex<Index>,
}

/// The result of `RunRegistry::claim`: the run for a request.
pub(super) enum Claim {
    New(Arc<Run>),
    /// The run of an earlier request with the same idempotency key.
    Joined(Arc<Run>),
}

impl RunRegistry {
    pub(crate) fn new(settings: &RuntimeSettings) -> Arc<Self> {
        Arc::new(Self {
            settings: RunSettings::of(settings),
            fingerprints: OnceLock::new(),
            instance: OnceLock::new(),
            journal: OnceLock::new(),
            runtime: OnceLock::new(),
            tasks: TaskTracker::new(),
            inspected_tasks: InspectedTasks::default(),
            total_size: Arc::default(),
            continuing: AtomicUsize::new(0),
            index: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// Returns this registry as the owner of its runs.
    fn owner(self: &Arc<Self>) -> Arc<dyn RunOwner> {
        Arc::<Self>::clone(self)
    }

    fn fingerprints(&self) -> &Fingerprints {
        self.fingerprints.get_or_init(Fingerprints::default)
    }

    /// Returns the value of `PPIO-Instance`: the id of the instance that keeps the idempotency
    /// keys. With a journal, the id stays the same as long as the directory of the journal exists,
    /// otherwise as long as the process runs.
    pub(crate) fn instance(&self) -> &HeaderValue {
        self.instance.get_or_init(|| self.fingerprints().instance())
    }

    /// Starts the task that drops expired runs.
    fn start_expiring(self: &Arc<Self>, index: &mut Index) {
        if index.expires || index.ended.is_empty() {
            return;
        }
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime.clone(),
            None => match Handle::try_current() {
                Ok(current) => current,
                Err(_) => return,
            },
        };
        index.expires = true;
        runtime.spawn(expire(Arc::downgrade(self)));
    }

    /// Returns the sender of a request with these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap, session: Option<&str>) -> RunCaller {
        self.fingerprints().caller(headers, session)
    }

    /// Returns the tracker of the running runs' tasks, and of other tasks that a shutdown waits
    /// for.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Returns the counters of the tasks of the process, for the inspection of runs.
    pub(crate) fn inspected_tasks(&self) -> &InspectedTasks {
        &self.inspected_tasks
    }

    /// Whether a task is running that drops expired runs.
    pub(super) fn expires(&self) -> bool {
        self.index().expires
    }

    /// Locks the index, which stays valid if a `Drop` panics.
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the run of a request by its idempotency key, or adds a new run.
    pub(super) fn claim(
        self: &Arc<Self>,
        id: &RequestId,
        caller: RunCaller,
        options: &RunOptions,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Claim, Rejection> {
        let key = options.key.clone().map(|key| caller.scoped(key));
        let request = match key {
            Some(_) => self.fingerprints().request(headers, body),
            // Only requests with a key are compared.
            None => 0,
        };
        let journal = self.journal()?.cloned();
        if journal.is_some()
            && let Ok(current) = Handle::try_current()
        {
            self.runtime.get_or_init(|| current);
        }
        let mut index = self.index();
        index.expire(self.settings.retention);
        if let Some(found) = key.as_ref().and_then(|key| index.by_key.get(key)) {
            if found.request != request {
                return Err(Rejection::KeyReused);
            }
            if let Some(run) = index.runs.get(&found.number) {
                return Ok(Claim::Joined(Arc::clone(run)));
            }
        }
        if key.is_some() {
            self.check_first_sent_to(options.first_sent_to.as_ref())?;
        }
        let limit = self.settings.max_runs;
        if index.runs.len() >= limit && !index.drop_oldest_ended() {
            return Err(Rejection::TooManyRuns { limit });
        }
        // A run of another request with the same id is not replaced.
        let id = if index.by_id.contains_key(id.as_str()) {
            RequestId::random()
        } else {
            id.clone()
        };
        let number = index.next_number;
        index.next_number += 1;
        let new = NewRun {
            id,
            caller,
            number,
            on_disconnect: options.on_disconnect,
            waits_for_caller: options.key.is_some() && !options.cancels_at_once,
            tag: options.tag.clone(),
        };
        let run = Run::new(new, &self.owner(), journal);
        let run = Arc::new(run);
        run.record_start(|run| {
            Record::Start(RunStart {
                id: run.id.as_str().to_owned(),
                session: run.caller.session().map(str::to_owned),
                credentials: run.caller.credentials(),
                key: options.key.clone(),
                request,
                continues: options.on_disconnect == OnDisconnect::Continue,
                started_at: milliseconds(run.started_at),
                tag: options.tag.clone().map(Box::new),
            })
        });
        index.by_id.insert(run.id.as_str().to_owned(), number);
        if let Some(key) = key {
            index.by_key.insert(key.clone(), KeyUse { number, request });
            index.keys.insert(number, key);
        }
        index.runs.insert(number, Arc::clone(&run));
        // The run is counted under the lock, so that its end is counted afterwards.
        if options.on_disconnect == OnDisconnect::Continue {
            self.count_continuing();
        }
        Ok(Claim::New(run))
    }

    /// Refuses a request that may have run on an earlier instance, whose idempotency keys are lost.
    fn check_first_sent_to(&self, instance: Option<&HeaderValue>) -> Result<(), Rejection> {
        match instance {
            Some(other) if other != self.instance() => Err(Rejection::AgentRestarted {
                has: if other == UNKNOWN_INSTANCE {
                    "may have"
                } else {
                    "has"
                },
            }),
            _ => Ok(()),
        }
    }

    /// Returns the run with an id, if the caller may see it.
    pub(crate) fn find(&self, id: &str, caller: &RunCaller) -> Result<Arc<Run>, Rejection> {
        let mut index = self.index();
        index.expire(self.settings.retention);
        let number = index.by_id.get(id);
        let run = number.and_then(|number| index.runs.get(number));
        match run.filter(|run| caller.sees(&run.caller)) {
            Some(run) => Ok(Arc::clone(run)),
            None => Err(Rejection::RunNotFound {
                id: id.chars().take(64).collect(),
            }),
        }
    }

    /// Refuses lists to a caller that cannot be distinguished from other callers, unless the
    /// configuration allows them. Such callers need the id of a run.
    fn check_lists(&self, caller: &RunCaller) -> Result<(), Rejection> {
        if caller.is_anonymous() && !self.settings.lists_anonymous {
            return Err(Rejection::AnonymousList);
        }
        Ok(())
    }

    /// Returns the runs that the caller may list and for whose tag `is_wanted` returns `true`, the
    /// newest first.
    #[cfg(feature = "chat")]
    pub(crate) fn list_tagged(
        &self,
        caller: &RunCaller,
        is_wanted: impl Fn(&RunTag) -> bool,
    ) -> Result<Vec<Arc<Run>>, Rejection> {
        self.check_lists(caller)?;
        let mut index = self.index();
        index.expire(self.settings.retention);
        Ok(index.tagged(caller, is_wanted).cloned().collect())
    }

    /// Returns the newest run that the caller may see and for whose tag `is_wanted` returns `true`.
    /// The tag must have an id that cannot be guessed, since callers without session and
    /// credentials see each other's runs.
    #[cfg(feature = "chat")]
    pub(crate) fn find_tagged(
        &self,
        caller: &RunCaller,
        is_wanted: impl Fn(&RunTag) -> bool,
    ) -> Option<Arc<Run>> {
        let mut index = self.index();
        index.expire(self.settings.retention);
        index.tagged(caller, is_wanted).next().cloned()
    }

    /// Like [`Self::find_tagged`], for a tag without a secret id, such as a name that one caller
    /// chose and another caller may guess. This function gives anonymous callers no access to the
    /// runs of a session.
    #[cfg(feature = "ui-stream")]
    pub(crate) fn find_named(
        &self,
        caller: &RunCaller,
        is_wanted: impl Fn(&RunTag) -> bool,
    ) -> Option<Arc<Run>> {
        let mut index = self.index();
        index.expire(self.settings.retention);
        let mut runs = index.tagged(caller, is_wanted);
        runs.find(|run| caller.sees_by_name(&run.caller)).cloned()
    }

    /// Deletes a run at the request of a caller. A running run is cancelled first.
    #[cfg(feature = "chat")]
    pub(crate) async fn delete(&self, run: &Arc<Run>) {
        run.cancel_recorded("by a caller").await;
        self.index().remove(run.number);
    }

    /// Returns the newest runs that the caller may list, at most `limit` of them. If `status` is
    /// given, only runs with this status are returned.
    pub(crate) fn list(
        &self,
        caller: &RunCaller,
        status: Option<RunStatus>,
        limit: usize,
    ) -> Result<Vec<RunView>, Rejection> {
        self.check_lists(caller)?;
        let runs: Vec<_> = {
            let mut index = self.index();
            index.expire(self.settings.retention);
            let visible = index.runs.values().rev();
            visible
                .filter(|run| caller.sees(&run.caller))
                .filter(|run| status.is_none_or(|status| run.status() == status))
                .take(limit)
                .cloned()
                .collect()
        };
        Ok(runs.iter().map(|run| run.view()).collect())
    }

    /// Whether a run with the policy `continue` is running, so that the sandbox has to be kept.
    pub(crate) fn is_busy(&self) -> bool {
        self.continuing.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of kept runs, and the total size of their data in bytes.
    #[cfg(feature = "metrics")]
    pub(crate) fn kept(&self) -> (usize, usize) {
        (
            self.index().runs.len(),
            self.total_size.load(Ordering::Relaxed),
        )
    }

    /// Waits at most `timeout` until no task of [`tasks`](Self::tasks) runs.
    pub(crate) async fn wait_idle(&self, timeout: Duration) {
        self.tasks.wait_idle(timeout).await;
    }

    /// Cancels all running runs at the end of a shutdown. Returns whether any run was running.
    pub(crate) fn cancel_all(&self) -> bool {
        let running: Vec<_> = self.index().runs.values().cloned().collect();
        let mut any = false;
        for run in running {
            any |= !run.status().is_ended();
            run.cancel("the agent has shut down");
        }
        any
    }
}

impl RunOwner for RunRegistry {
    fn settings(&self) -> &RunSettings {
        &self.settings
    }

    fn total_size(&self) -> &Arc<AtomicUsize> {
        &self.total_size
    }

    fn count_continuing(&self) {
        self.continuing.fetch_add(1, Ordering::Relaxed);
    }

    fn make_room(&self) -> bool {
        let is_full = || self.total_size.load(Ordering::Relaxed) > self.settings.max_total_size;
        if !is_full() {
            return true;
        }
        let mut index = self.index();
        let ended: Vec<u64> = index.ended.iter().map(|&(_, number)| number).collect();
        for number in ended {
            if !is_full() {
                break;
            }
            // The memory of a run is not freed before its readers have disconnected.
            if index
                .runs
                .get(&number)
                .is_some_and(|run| !run.has_readers())
            {
                index.remove(number);
            }
        }
        !is_full()
    }

    fn ended(self: Arc<Self>, number: u64, continued: bool) {
        if continued {
            self.continuing.fetch_sub(1, Ordering::Relaxed);
        }
        let mut index = self.index();
        // A run that was not started has already been removed.
        if index.runs.contains_key(&number) {
            index.ended.push_back((Instant::now(), number));
        }
        self.start_expiring(&mut index);
        drop(index);
        self.make_room();
    }

    fn forget(&self, run: &Run) {
        self.index().remove(run.number);
    }
}

/// Drops expired runs until no ended run remains.
async fn expire(registry: std::sync::Weak<RunRegistry>) {
    loop {
        let due = {
            let Some(registry) = registry.upgrade() else {
                return;
            };
            let mut index = registry.index();
            let Some(due) = index.expire(registry.settings.retention) else {
                index.expires = false;
                return;
            };
            due
        };
        sleep_until(due).await;
    }
}
