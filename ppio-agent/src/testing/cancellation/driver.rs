//! Polls a future to its end, or to one of its await points, and drops it there.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Runtime, RuntimeFlavor};
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::CancellationError;
use super::poll_trace::PollTrace;
use super::source_line::SourceLine;

/// The maximum number of yields to the runtime that let aborted tasks end.
const SETTLE_TURNS: usize = 64;
/// The pause between two checks of the remaining tasks.
const SETTLE_INTERVAL: Duration = Duration::from_millis(1);

/// Runs futures on the calling thread.
///
/// The futures are polled outside of `block_on`, which only runs timers, sockets and spawned tasks
/// between two polls. So only the future itself runs during a poll.
pub(super) struct Driver {
    runtime: Runtime,
    stuck_after: Duration,
    /// Notified at intervals of real time, even if the clock of the runtime is paused.
    ticks: Arc<Notify>,
    /// The sender that ends the thread of `ticks` when it is dropped.
    _ticking: mpsc::Sender<()>,
}

/// The result of [`Driver::drive`]: how far the future was polled.
pub(super) struct Drive {
    /// The number of polls that returned `Pending`.
    pub(super) await_points: usize,
    /// The await points whose poll spawned tasks that still ran after that poll.
    pub(super) spawned_before: Vec<usize>,
    pub(super) end: DriveEnd,
}

pub(super) enum DriveEnd {
    Finished,
    /// Dropped at the last await point: the line of that point, and the panic of the drop, if any.
    Dropped(Option<SourceLine>, Result<(), Panic>),
    Panicked(Panic),
    /// Not woken in time, and therefore dropped.
    Stuck(Option<SourceLine>),
}

pub(super) type Panic = Box<dyn Any + Send>;

impl Driver {
    pub(super) fn new(runtime: Runtime, stuck_after: Duration) -> Result<Self, CancellationError> {
        if runtime.handle().runtime_flavor() != RuntimeFlavor::CurrentThread {
            return Err(CancellationError::MultiThread);
        }
        let ticks = Arc::new(Notify::new());
        let (ticking, ended) = mpsc::channel();
        let interval = (stuck_after / 4).max(Duration::from_millis(1));
        let tick = Arc::clone(&ticks);
        thread::Builder::new()
            .name("ppio-testing".to_owned())
            .spawn(move || {
                while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    tick.notify_one();
                }
            })
            .map_err(CancellationError::Runtime)?;
        Ok(Self {
            runtime,
            stuck_after,
            ticks,
            _ticking: ticking,
        })
    }

    /// Ends the runtime without waiting for its blocking threads.
    pub(super) fn end(self) {
        self.runtime.shutdown_background();
    }

    /// Returns the number of spawned tasks that run.
    pub(super) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    /// Polls a future to its end, or drops it at the await point with the number `last`.
    pub(super) fn drive<F>(&self, future: impl FnOnce() -> Pin<Box<F>>, last: usize) -> Drive
    where
        F: Future<Output = ()> + ?Sized,
    {
        let _entered = self.runtime.enter();
        let trace = PollTrace::new();
        let mut drive = Drive {
            await_points: 0,
            spawned_before: Vec::new(),
            end: DriveEnd::Finished,
        };
        let mut future = match catch_unwind(AssertUnwindSafe(future)) {
            Ok(future) => future,
            Err(panic) => {
                drive.end = DriveEnd::Panicked(panic);
                return drive;
            }
        };
        loop {
            let tasks = self.tasks();
            // The future is not polled again after a panic, so its broken state is never read.
            let poll = catch_unwind(AssertUnwindSafe(|| {
                let poll = |cx: &mut Context<'_>| future.as_mut().poll(cx);
                if drive.await_points + 1 == last {
                    trace.poll_last(poll)
                } else {
                    trace.poll(poll)
                }
            }));
            match poll {
                Ok(Poll::Ready(())) => return drive,
                Ok(Poll::Pending) => drive.await_points += 1,
                Err(panic) => {
                    drive.end = DriveEnd::Panicked(panic);
                    return drive;
                }
            }
            if self.tasks() > tasks {
                drive.spawned_before.push(drive.await_points);
            }
            let is_last = drive.await_points == last;
            if is_last || !self.wait(&trace) {
                let mut located = None;
                let dropped = catch_unwind(AssertUnwindSafe(|| {
                    located = trace.locate(|cx| {
                        let _ = future.as_mut().poll(cx);
                    });
                    drop(future);
                }));
                drive.end = if is_last {
                    DriveEnd::Dropped(located, dropped)
                } else {
                    DriveEnd::Stuck(located)
                };
                return drive;
            }
        }
    }

    /// Runs tasks and timers until the future is woken. Returns `false` if it is not woken in time.
    fn wait(&self, trace: &PollTrace) -> bool {
        let since = Instant::now();
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    biased;
                    () = trace.woken() => return true,
                    () = self.ticks.notified() => {
                        if since.elapsed() >= self.stuck_after {
                            return false;
                        }
                    }
                }
            }
        })
    }

    /// Lets aborted tasks end, and waits up to `grace`, by the clock of the runtime, until at most
    /// `expected` tasks run. Returns how many more than `expected` still run.
    pub(super) fn settle(&self, expected: usize, grace: Duration) -> usize {
        let left = || self.tasks().saturating_sub(expected);
        self.runtime.block_on(async {
            for _ in 0..SETTLE_TURNS {
                // `yield_now` lets the tasks that can run be polled first.
                yield_now().await;
                if left() == 0 {
                    return 0;
                }
            }
            let mut waited = Duration::ZERO;
            while waited < grace && left() > 0 {
                tokio::time::sleep(SETTLE_INTERVAL).await;
                waited += SETTLE_INTERVAL;
            }
            left()
        })
    }
}
