//! The runs that are kept, by number, id and idempotency key.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::{Duration, Instant};

#[cfg(feature = "chat")]
use crate::runs::caller::RunCaller;
use crate::runs::caller::ScopedKey;
use crate::runs::journal::Journal;
use crate::runs::run::Run;
#[cfg(feature = "chat")]
use crate::runs::tag::RunTag;

#[derive(Default)]
pub(super) struct Index {
    /// The runs by number, which is the order in which they started.
    pub(super) runs: BTreeMap<u64, Arc<Run>>,
    pub(super) by_id: HashMap<String, u64>,
    pub(super) by_key: HashMap<ScopedKey, KeyUse>,
    pub(super) keys: HashMap<u64, ScopedKey>,
    /// The time of the end and the number of each ended run, in the order in which the runs ended.
    pub(super) ended: VecDeque<(Instant, u64)>,
    pub(super) next_number: u64,
    /// Whether a task is running that drops expired runs.
    pub(super) expires: bool,
    pub(super) journal: Option<Journal>,
}

/// The run and the request that an idempotency key was used for.
pub(super) struct KeyUse {
    pub(super) number: u64,
    pub(super) request: u128,
}

impl Index {
    /// Returns the runs that a caller may see and for whose tag `is_wanted` returns `true`, the
    /// newest first.
    #[cfg(feature = "chat")]
    pub(super) fn tagged(
        &self,
        caller: &RunCaller,
        is_wanted: impl Fn(&RunTag) -> bool,
    ) -> impl Iterator<Item = &Arc<Run>> {
        let newest_first = self.runs.values().rev();
        newest_first
            .filter(move |run| run.tag.as_ref().is_some_and(&is_wanted) && caller.sees(&run.caller))
    }

    pub(super) fn remove(&mut self, number: u64) {
        if let Some(journal) = &self.journal {
            journal.remove(number);
        }
        if let Some(run) = self.runs.remove(&number) {
            self.by_id.remove(run.id.as_str());
            // The removed run is usually the one that ended first, which is found without a search.
            match self.ended.front() {
                Some(&(_, oldest)) if oldest == number => drop(self.ended.pop_front()),
                _ => self.ended.retain(|&(_, ended)| ended != number),
            }
        }
        if let Some(key) = self.keys.remove(&number) {
            self.by_key.remove(&key);
        }
    }

    pub(super) fn drop_oldest_ended(&mut self) -> bool {
        let oldest = self.ended.front().map(|&(_, number)| number);
        if let Some(number) = oldest {
            self.remove(number);
        }
        oldest.is_some()
    }

    /// Drops the runs whose retention is over. Returns the time at which the retention of the next
    /// run is over.
    pub(super) fn expire(&mut self, retention: Duration) -> Option<Instant> {
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
