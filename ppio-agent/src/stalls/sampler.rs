//! The thread that looks for long polls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::slot::PollSlot;
use super::{AsyncFunction, registered};

/// The number of looks (reads of all slots) within the shortest limit. A poll that exceeds its
/// limit by the time of two looks is found, unless the sampler was asleep when the poll began.
const LOOKS_PER_LIMIT: u32 = 8;
/// The minimum time between two looks.
const MIN_INTERVAL: Duration = Duration::from_millis(1);
/// The maximum time between two looks.
const MAX_INTERVAL: Duration = Duration::from_secs(1);
/// The number of looks without any poll after which the sampler sleeps.
const IDLE_LOOKS: u32 = 16;

/// The time between two looks, in microseconds.
static INTERVAL: AtomicU64 = AtomicU64::new(u64::MAX);
/// Whether the sampler sleeps until a poll begins.
static ASLEEP: AtomicBool = AtomicBool::new(false);
/// The thread of the sampler; `None` if it could not be started.
static THREAD: OnceLock<Option<Thread>> = OnceLock::new();

/// Makes the sampler look often enough to find a poll that takes longer than `limit`.
pub(super) fn look_every(limit: Duration) {
    let interval = (limit / LOOKS_PER_LIMIT).clamp(MIN_INTERVAL, MAX_INTERVAL);
    let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    INTERVAL.fetch_min(micros, Ordering::Relaxed);
}

/// Adds the slot of a thread, and starts the sampler if it has not been started.
pub(super) fn add(slot: Arc<PollSlot>) {
    slots().push(slot);
    THREAD.get_or_init(|| {
        let thread = thread::Builder::new().name("ppio-stalls".to_owned());
        match thread.spawn(run) {
            Ok(thread) => Some(thread.thread().clone()),
            Err(error) => {
                tracing::warn!(%error, "cannot start the thread that detects blocking functions");
                None
            }
        }
    });
}

fn slots() -> MutexGuard<'static, Vec<Arc<PollSlot>>> {
    static SLOTS: Mutex<Vec<Arc<PollSlot>>> = Mutex::new(Vec::new());
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[inline]
pub(super) fn is_asleep() -> bool {
    ASLEEP.load(Ordering::Relaxed)
}

/// Wakes the sampler, which then looks again.
#[cold]
pub(super) fn wake() {
    if ASLEEP.swap(false, Ordering::Relaxed)
        && let Some(Some(thread)) = THREAD.get()
    {
        thread.unpark();
    }
}

fn run() {
    let mut polls: Vec<Poll> = Vec::new();
    let mut last = Instant::now();
    let mut idle = 0;
    loop {
        let interval = Duration::from_micros(INTERVAL.load(Ordering::Relaxed));
        if idle < IDLE_LOOKS {
            thread::sleep(interval);
        } else {
            ASLEEP.store(true, Ordering::Relaxed);
            // A poll that is just beginning may not wake the sampler, so the sleep has a limit.
            thread::park_timeout(MAX_INTERVAL);
            ASLEEP.store(false, Ordering::Relaxed);
        }
        let now = Instant::now();
        // If the whole process was suspended or had no processor, no function has blocked.
        let passed = (now - last).min(interval * 2);
        last = now;
        let added = {
            let mut slots = slots();
            std::mem::take(&mut *slots)
        };
        polls.extend(added.into_iter().map(Poll::of));
        polls.retain(|poll| !poll.slot.has_ended());
        let mut is_active = false;
        for poll in &mut polls {
            is_active |= poll.look(passed);
        }
        idle = if is_active { 0 } else { idle + 1 };
    }
}

/// The poll of one thread that was read last.
struct Poll {
    slot: Arc<PollSlot>,
    epoch: u64,
    /// How long the same poll has been seen.
    seen: Duration,
    /// How long the thread had waited for a processor when the poll was seen the second time.
    waited: Option<Duration>,
    /// The function, once the poll has taken too long.
    reported: Option<Arc<AsyncFunction>>,
}

impl Poll {
    fn of(slot: Arc<PollSlot>) -> Self {
        Self {
            slot,
            epoch: 0,
            seen: Duration::ZERO,
            waited: None,
            reported: None,
        }
    }

    /// Compares the slot with its previous content. Returns whether the thread has polled user code
    /// since the previous look.
    fn look(&mut self, passed: Duration) -> bool {
        let (epoch, function) = self.slot.current();
        if epoch != self.epoch {
            *self = Self {
                epoch,
                ..Self::of(Arc::clone(&self.slot))
            };
            return true;
        }
        let Some(function) = function else {
            return false;
        };
        self.seen += passed;
        if let Some(reported) = &self.reported {
            reported.add_time(passed);
            return true;
        }
        let Some(waited) = self.waited else {
            self.waited = Some(time_without_processor(&self.slot));
            return true;
        };
        let function = registered()
            .get(&function)
            .and_then(std::sync::Weak::upgrade);
        if let Some(function) = function
            && self.seen >= function.limit
        {
            // The time in which the thread was ready to run and had no processor does not count.
            let waits = time_without_processor(&self.slot).saturating_sub(waited);
            let blocked = self.seen.saturating_sub(waits);
            let request_id = self.slot.request_id();
            if blocked >= function.limit && self.slot.current().0 == epoch {
                function.report(&request_id, blocked);
                self.reported = Some(function);
            }
        }
        true
    }
}

/// Returns how long a thread has waited for a processor since its start; zero if the system does
/// not report this time.
fn time_without_processor(slot: &PollSlot) -> Duration {
    let read = |path: &String| {
        let text = std::fs::read_to_string(path).ok()?;
        // The time on a processor, the time without one, and the number of time slices.
        text.split(' ').nth(1)?.parse().ok()
    };
    let nanos = slot.statistics.as_ref().and_then(read);
    Duration::from_nanos(nanos.unwrap_or_default())
}
