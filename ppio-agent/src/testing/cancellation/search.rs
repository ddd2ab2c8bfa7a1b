//! Runs the invocations: whole ones first, then one for each await point.

use std::panic::resume_unwind;
use std::time::Duration;

use super::driver::{Drive, DriveEnd, Driver, Panic};
use super::report::Point;
use super::source_line::SourceLine;
use super::{CancelAtEveryAwait, CancellationError, CancellationReport};
use crate::exchange::error::panic_message;

/// The maximum number of invocations that are run to their end to count the await points.
const WHOLE_RUNS: usize = 4;
/// How many of these invocations must have as many await points as the first one, unless the first
/// two have the same number. The number can differ once, if a thread is slow.
const SAME_RUNS: usize = 3;
/// The maximum number of runs that try to reach one await point.
const ATTEMPTS: usize = 3;

impl CancelAtEveryAwait<'_> {
    /// Drops an invocation at every await point.
    pub(super) fn search(&self, driver: &Driver) -> Result<CancellationReport, CancellationError> {
        let mut report = CancellationReport {
            await_points: self.await_points(driver)?,
            tried: 0,
            left_behind: Vec::new(),
        };
        while report.tried < report.await_points {
            if !self.cancel_next(driver, &mut report)? {
                return Ok(report);
            }
        }
        // Some effects of the last dropped invocation appear only in an invocation after it.
        if report.await_points > 0
            && let Err(failure) = self.invoke(driver, usize::MAX)
        {
            failure.add_to(&mut report, self.stuck_after)?;
        }
        Ok(report)
    }

    /// Returns the number of await points of invocations that run to their end.
    fn await_points(&self, driver: &Driver) -> Result<usize, CancellationError> {
        let mut runs = Vec::new();
        loop {
            let limit = self.max_await_points;
            let run = self.invoke(driver, limit.saturating_add(1));
            let run = run.map_err(|failure| failure.into_error(self.stuck_after))?;
            if run.dropped.is_some() {
                return Err(CancellationError::TooManyAwaitPoints { limit });
            }
            runs.push(run.await_points);
            let expected = runs[0];
            let same = runs.iter().filter(|run| **run == expected).count();
            if runs == [expected, expected] || same == SAME_RUNS {
                return Ok(expected);
            }
            if runs.len() == WHOLE_RUNS {
                let other = runs.into_iter().find(|run| *run != expected);
                let found = other.unwrap_or(expected);
                return Err(CancellationError::NotDeterministic { expected, found });
            }
        }
    }

    /// Drops an invocation at the await point after the last one that was tried. Returns `false` if
    /// no further await point can be tried.
    fn cancel_next(
        &self,
        driver: &Driver,
        report: &mut CancellationReport,
    ) -> Result<bool, CancellationError> {
        let point = report.tried + 1;
        let mut found = 0;
        for _ in 0..ATTEMPTS {
            let run = match self.invoke(driver, point) {
                Ok(run) => run,
                Err(failure) => {
                    failure.add_to(report, self.stuck_after)?;
                    return Ok(false);
                }
            };
            found = run.await_points;
            if let Some(dropped) = run.dropped {
                let mut what: Vec<_> = dropped.panic.into_iter().collect();
                what.extend(self.left_tasks(driver, run.tasks_before, &run.spawned_before));
                let goes_on = self.run_checks(driver, &mut what);
                report.add(point, dropped.line, what);
                report.tried = point;
                return Ok(goes_on);
            }
        }
        Err(CancellationError::NotDeterministic {
            expected: report.await_points,
            found,
        })
    }

    /// Runs one invocation to its end, or drops it at the await point with the number `last`.
    fn invoke(&self, driver: &Driver, last: usize) -> Result<TriedInvocation, Unfinished> {
        for step in &self.before {
            Unfinished::of_closure(driver.drive(|| step.run(), usize::MAX))?;
        }
        for check in &self.checks {
            Unfinished::of_closure(driver.drive(|| check.before(), usize::MAX))?;
        }
        let tasks_before = driver.tasks();
        let drive = driver.drive(|| self.invocation.run(), last);
        let dropped = match drive.end {
            DriveEnd::Finished => None,
            DriveEnd::Dropped(line, dropped) => Some(DroppedInvocation {
                line,
                panic: dropped.err().map(|panic| {
                    let text = panic_message(panic.as_ref());
                    format!("dropping the invocation panicked: {text}")
                }),
            }),
            DriveEnd::Panicked(panic) => return Err(Unfinished::Panicked(panic)),
            DriveEnd::Stuck(line) => {
                return Err(Unfinished::Stuck {
                    who: "the next invocation",
                    await_point: drive.await_points,
                    line,
                });
            }
        };
        Ok(TriedInvocation {
            await_points: drive.await_points,
            tasks_before,
            spawned_before: drive.spawned_before,
            dropped,
        })
    }

    fn left_tasks(
        &self,
        driver: &Driver,
        tasks_before: usize,
        spawned_before: &[usize],
    ) -> Option<String> {
        let left = driver.settle(tasks_before, self.task_grace?);
        let tasks = match left {
            0 => return None,
            1 => "1 spawned task still runs".to_owned(),
            _ => format!("{left} spawned tasks still run"),
        };
        let points: Vec<_> = spawned_before.iter().map(usize::to_string).collect();
        Some(if points.is_empty() {
            tasks
        } else {
            format!("{tasks}, spawned before await point {}", points.join(", "))
        })
    }

    /// Runs the checks, and adds a text for each check that fails. Returns `false` if a check waits
    /// forever.
    fn run_checks(&self, driver: &Driver, what: &mut Vec<String>) -> bool {
        for check in &self.checks {
            let drive = driver.drive(|| check.after(what), usize::MAX);
            match Unfinished::of_closure(drive) {
                Ok(()) => {}
                Err(Unfinished::Panicked(panic)) => {
                    what.push(panic_message(panic.as_ref()).to_owned());
                }
                Err(stuck @ Unfinished::Stuck { .. }) => {
                    what.push(stuck.text(self.stuck_after));
                    return false;
                }
            }
        }
        true
    }
}

/// The result of one invocation.
struct TriedInvocation {
    await_points: usize,
    tasks_before: usize,
    spawned_before: Vec<usize>,
    /// `None` if the invocation finished.
    dropped: Option<DroppedInvocation>,
}

struct DroppedInvocation {
    line: Option<SourceLine>,
    panic: Option<String>,
}

/// Why an invocation or a closure did not finish.
enum Unfinished {
    Stuck {
        who: &'static str,
        await_point: usize,
        line: Option<SourceLine>,
    },
    Panicked(Panic),
}

impl Unfinished {
    fn of_closure(drive: Drive) -> Result<(), Self> {
        match drive.end {
            DriveEnd::Finished | DriveEnd::Dropped(..) => Ok(()),
            DriveEnd::Panicked(panic) => Err(Self::Panicked(panic)),
            DriveEnd::Stuck(line) => Err(Self::Stuck {
                who: "a closure of the test",
                await_point: drive.await_points,
                line,
            }),
        }
    }

    fn text(&self, stuck_after: Duration) -> String {
        match self {
            Self::Stuck {
                who,
                await_point,
                line,
            } => {
                let point = Point(*await_point, line.as_ref());
                format!("{who} waits for more than {stuck_after:?} at its {point}")
            }
            Self::Panicked(panic) => {
                let text = panic_message(panic.as_ref());
                format!("the next invocation or a closure of the test panicked: {text}")
            }
        }
    }

    /// Returns the error for a failure that no dropped invocation caused, or resumes a panic.
    fn into_error(self, after: Duration) -> CancellationError {
        match self {
            Self::Stuck {
                await_point, line, ..
            } => CancellationError::Stuck {
                await_point,
                line,
                after,
            },
            Self::Panicked(panic) => resume_unwind(panic),
        }
    }

    /// Adds the failure to the report, at the await point that was tried last. Returns an error if
    /// no await point has been tried.
    fn add_to(
        self,
        report: &mut CancellationReport,
        stuck_after: Duration,
    ) -> Result<(), CancellationError> {
        if report.tried == 0 {
            return Err(self.into_error(stuck_after));
        }
        report.add(report.tried, None, vec![self.text(stuck_after)]);
        Ok(())
    }
}
