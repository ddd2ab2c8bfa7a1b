//! The processes that clients and the platform started in a sandbox.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::process::Process;

#[derive(Debug, Default)]
pub(crate) struct ProcessTable {
    running: Mutex<BTreeMap<u32, Arc<Process>>>,
    last_start: Mutex<Option<Instant>>,
}

impl ProcessTable {
    pub(crate) fn list(&self) -> Vec<Arc<Process>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, process| !process.has_ended());
        running.values().cloned().collect()
    }

    pub(crate) fn by_pid(&self, pid: u32) -> Option<Arc<Process>> {
        self.list().into_iter().find(|process| process.pid == pid)
    }

    pub(crate) fn by_tag(&self, tag: &str) -> Option<Arc<Process>> {
        self.list()
            .into_iter()
            .find(|process| process.tag.as_deref() == Some(tag))
    }

    /// Returns the time at which the last process was started, even if that process has ended;
    /// `None` before the first.
    pub(crate) fn last_start(&self) -> Option<Instant> {
        *self
            .last_start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, process: &Arc<Process>) {
        *self
            .last_start
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(process.pid, Arc::clone(process));
    }
}
