//! Opens the journal for the registry, and restores the runs of an earlier process.

use std::sync::Arc;

use tokio::time::Instant;

use super::RunRegistry;
use super::index::{Index, KeyUse};
use crate::exchange::rejection::Rejection;
use crate::runs::caller::Fingerprints;
use crate::runs::journal::{Journal, JournalLimits, OpenedJournal, RecoveredRun};
use crate::runs::run::Run;

impl RunRegistry {
    /// Opens the journal, if one is configured, and restores the runs in it. This function is
    /// called before the first request.
    pub(crate) fn open_journal(self: &Arc<Self>) -> Result<(), String> {
        let Some(directory) = &self.settings.journal else {
            return Ok(());
        };
        let limits = JournalLimits {
            runs: self.settings.max_runs,
            run_size: self.settings.max_size,
            total_size: self.settings.max_total_size,
        };
        let journal = self.journal.get_or_init(|| {
            let opened = Journal::open(directory, limits).map_err(|error| error.to_string())?;
            let journal = opened.journal.clone();
            self.restore(opened);
            Ok(journal)
        });
        journal.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    /// Returns the journal that new runs are written to, if one is configured.
    pub(in crate::runs) fn journal(&self) -> Result<Option<&Journal>, Rejection> {
        match self.journal.get() {
            None => Ok(None),
            Some(Ok(journal)) => Ok(Some(journal)),
            Some(Err(reason)) => Err(Rejection::NotJournaled {
                reason: reason.clone(),
            }),
        }
    }

    /// Waits until all records that were sent to the journal so far are written.
    pub(crate) async fn flush_journal(&self) {
        if let Some(Ok(journal)) = self.journal.get() {
            journal.flush().await;
        }
    }

    /// Adds the runs of an earlier process.
    fn restore(self: &Arc<Self>, opened: OpenedJournal) {
        let _ = self.fingerprints.set(Fingerprints::with_key(&opened.key));
        let mut index = self.index();
        index.journal = Some(opened.journal);
        index.next_number = opened.next_number;
        for recovered in opened.runs {
            self.restore_run(&mut index, recovered);
        }
        // The runs are in the order of their starts, and `ended` must be in the order of their
        // ends.
        index.ended.make_contiguous().sort_unstable();
        index.expire(self.settings.retention);
        self.start_expiring(&mut index);
    }

    fn restore_run(self: &Arc<Self>, index: &mut Index, recovered: RecoveredRun) {
        let number = recovered.number;
        let key = recovered.start.key.clone();
        let request = recovered.start.request;
        let run = Run::restored(recovered, &self.owner());
        let Some(run) = run.filter(|run| !index.by_id.contains_key(run.id.as_str())) else {
            tracing::warn!(number, "ignoring a damaged run in the journal");
            return;
        };
        let id = run.id.as_str().to_owned();
        index.by_id.insert(id, number);
        if let Some(key) = key {
            let key = run.caller.scoped(key);
            index.by_key.insert(key.clone(), KeyUse { number, request });
            index.keys.insert(number, key);
        }
        let age = run.ended_at().and_then(|ended| ended.elapsed().ok());
        let now = Instant::now();
        // If the run ended before the start of this machine's clock, its retention counts as over.
        let ended = now.checked_sub(age.unwrap_or_default());
        let ended = ended.or_else(|| now.checked_sub(self.settings.retention));
        index.ended.push_back((ended.unwrap_or(now), number));
        index.runs.insert(number, Arc::new(run));
    }
}
