//! All runs of an agent: which are kept, who finds them, and which are dropped.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use ppio_agent_protocol::RunStatus;
use tokio::time::{Duration, Instant, sleep_until};

use super::RunSettings;
use super::caller::{Fingerprints, RunCaller, ScopedKey};
use super::options::RunOptions;
use super::run::{Run, RunView};
use crate::exchange::policies::OnDisconnect;
use crate::exchange::rejection::Rejection;
use crate::exchange::request_id::RequestId;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::exchange::task_tracker::TaskTracker;

/// The runs of one agent.
pub(crate) struct RunRegistry {
    settings: RunSettings,
    fingerprints: Fingerprints,
    /// Counts the tasks of running runs.
    tasks: TaskTracker,
    total_size: Arc<AtomicUsize>,
    /// How many running runs continue without a reader.
    continuing: AtomicUsize,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    /// In the order in which they started.
    runs: BTreeMap<u64, Arc<Run>>,
    by_id: HashMap<String, u64>,
    by_key: HashMap<ScopedKey, KeyUse>,
    keys: HashMap<u64, ScopedKey>,
    /// In the order in which they ended.
    ended: VecDeque<(Instant, u64)>,
    next_number: u64,
    /// Whether a task drops runs when their time is over.
    expires: bool,
}

/// What a key was used for.
struct KeyUse {
    number: u64,
    request: u128,
}

/// A run for a request.
pub(super) enum Claim {
    New(Arc<Run>),
    /// An earlier request with the same key started it.
    Joined(Arc<Run>),
}

impl RunRegistry {
    pub(crate) fn new(settings: &RuntimeSettings) -> Arc<Self> {
        Arc::new(Self {
            settings: RunSettings::of(settings),
            fingerprints: Fingerprints::default(),
            tasks: TaskTracker::new(),
            total_size: Arc::default(),
            continuing: AtomicUsize::new(0),
            index: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> &RunSettings {
        &self.settings
    }

    /// Who sent a request with these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap, session: Option<&str>) -> RunCaller {
        self.fingerprints.caller(headers, session)
    }

    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(super) fn total_size(&self) -> &Arc<AtomicUsize> {
        &self.total_size
    }

    /// The index stays valid if a `Drop` panics.
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the run of a request by its key, or adds one.
    pub(super) fn claim(
        self: &Arc<Self>,
        id: &RequestId,
        caller: RunCaller,
        options: &RunOptions,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Claim, Rejection> {
        let request = self.fingerprints.request(headers, body);
        let key = options.key.clone().map(|key| caller.scoped(key));
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
        let limit = self.settings.max_runs;
        if index.runs.len() >= limit && !index.drop_oldest_ended() {
            return Err(Rejection::TooManyRuns { limit });
        }
        // A run of another request is not replaced.
        let id = if index.by_id.contains_key(id.as_str()) {
            RequestId::random()
        } else {
            id.clone()
        };
        let number = index.next_number;
        index.next_number += 1;
        let run = Run::new(id, caller, number, options, &self.settings, self);
        let run = Arc::new(run);
        index.by_id.insert(run.id.as_str().to_owned(), number);
        if let Some(key) = key {
            index.by_key.insert(key.clone(), KeyUse { number, request });
            index.keys.insert(number, key);
        }
        index.runs.insert(number, Arc::clone(&run));
        // Under the lock, so that the end is counted later.
        if options.on_disconnect == OnDisconnect::Continue {
            self.count_continuing();
        }
        Ok(Claim::New(run))
    }

    /// Forgets a run whose function was not called.
    pub(super) fn forget(&self, run: &Run) {
        self.index().remove(run.number);
    }

    /// The run of an id, if the caller may see it.
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

    /// The newest runs that the caller may see.
    pub(crate) fn list(
        &self,
        caller: &RunCaller,
        status: Option<RunStatus>,
        limit: usize,
    ) -> Vec<RunView> {
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
        runs.iter().map(|run| run.view()).collect()
    }

    pub(super) fn count_continuing(&self) {
        self.continuing.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a run that has ended for some time.
    pub(super) fn ended(self: &Arc<Self>, number: u64, continued: bool) {
        if continued {
            self.continuing.fetch_sub(1, Ordering::Relaxed);
        }
        let mut index = self.index();
        index.ended.push_back((Instant::now(), number));
        if !index.expires
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            index.expires = true;
            runtime.spawn(expire(Arc::downgrade(self)));
        }
        drop(index);
        self.make_room();
    }

    /// Drops ended runs while all together are over the limit, the oldest first. Returns whether
    /// they are below it.
    pub(super) fn make_room(&self) -> bool {
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
            // Its memory is not free before its readers have left.
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

    /// Whether a run goes on without its caller, so that the sandbox has to stay.
    pub(crate) fn is_busy(&self) -> bool {
        self.continuing.load(Ordering::Relaxed) > 0
    }

    /// How many runs are kept, and the size of what they hold.
    #[cfg(feature = "metrics")]
    pub(crate) fn kept(&self) -> (usize, usize) {
        (
            self.index().runs.len(),
            self.total_size.load(Ordering::Relaxed),
        )
    }

    /// Waits at most `timeout` until no run runs.
    pub(crate) async fn wait_idle(&self, timeout: Duration) {
        self.tasks.wait_idle(timeout).await;
    }

    /// Cancels all running runs at the end of a shutdown. Returns whether there was one.
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

impl Index {
    fn remove(&mut self, number: u64) {
        if let Some(run) = self.runs.remove(&number) {
            self.by_id.remove(run.id.as_str());
            // The oldest is usually the first.
            match self.ended.front() {
                Some(&(_, oldest)) if oldest == number => drop(self.ended.pop_front()),
                _ => self.ended.retain(|&(_, ended)| ended != number),
            }
        }
        if let Some(key) = self.keys.remove(&number) {
            self.by_key.remove(&key);
        }
    }

    fn drop_oldest_ended(&mut self) -> bool {
        let oldest = self.ended.front().map(|&(_, number)| number);
        if let Some(number) = oldest {
            self.remove(number);
        }
        oldest.is_some()
    }

    /// Drops the runs that ended long ago. Returns when the next one is due.
    fn expire(&mut self, retention: Duration) -> Option<Instant> {
        loop {
            let &(ended, number) = self.ended.front()?;
            let due = ended + retention;
            if due > Instant::now() {
                return Some(due);
            }
            self.remove(number);
        }
    }
}

/// Drops runs when their time is over, until no ended one is left.
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
