//! Chooses the processors of a sandbox, if no cgroup limits its share of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::thread::{CpuSet, sched_getaffinity};

/// The next processor to assign, so that sandboxes do not all share the first ones.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Returns the processors for a sandbox that may use `count` of them, in the format of `taskset`.
/// `None` if the sandbox may use all processors.
pub(super) fn choose(count: u32) -> Option<String> {
    let available = sched_getaffinity(None).ok()?;
    let available: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|processor| available.is_set(*processor))
        .collect();
    let count = count as usize;
    if count == 0 || count >= available.len() {
        return None;
    }
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    let chosen: Vec<_> = (first..first + count)
        .map(|number| available[number % available.len()].to_string())
        .collect();
    Some(chosen.join(","))
}
