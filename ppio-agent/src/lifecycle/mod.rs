//! Shared state, and the functions that build and release it.

pub(crate) mod annotated;
mod error;
mod hook;
pub(crate) mod shutdown;
pub(crate) mod startup;
mod state;
pub(crate) mod states;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::task::JoinSet;

pub use self::error::LifecycleError;
pub(crate) use self::hook::Hook;
use self::shutdown::Shutdown;
use self::startup::StartupRun;
pub use self::state::State;
use crate::exchange::error::ErrorChain;

/// The startup and shutdown functions of one agent, each of which runs at most once.
pub(crate) struct Lifecycle {
    /// `None` once the functions have begun to run.
    startups: tokio::sync::Mutex<Option<Vec<Hook<StartupRun>>>>,
    started: OnceLock<()>,
    shutdowns: Mutex<Vec<Hook<Shutdown>>>,
}

impl Lifecycle {
    pub(crate) fn new(startups: Vec<Hook<StartupRun>>, shutdowns: Vec<Hook<Shutdown>>) -> Self {
        let started = OnceLock::new();
        if startups.is_empty() {
            let _ = started.set(());
        }
        Self {
            startups: tokio::sync::Mutex::new(Some(startups)),
            started,
            shutdowns: Mutex::new(shutdowns),
        }
    }

    /// Whether every state is built.
    pub(crate) fn has_started(&self) -> bool {
        self.started.get().is_some()
    }

    /// Runs the startup functions one after the other, if they have not run. The functions are not
    /// run again after one of them has failed or this future was dropped.
    pub(crate) async fn start(&self) -> Result<(), LifecycleError> {
        if self.has_started() {
            return Ok(());
        }
        let mut startups = self.startups.lock().await;
        if self.has_started() {
            return Ok(());
        }
        for hook in startups.take().ok_or(LifecycleError::StartedBefore)? {
            let began = Instant::now();
            let Some(future) = (hook.function)() else {
                continue;
            };
            let function = hook.name;
            if let Err(error) = hook::run(future).await {
                return Err(LifecycleError::Startup { function, error });
            }
            tracing::info!(elapsed = ?began.elapsed(), "{function} has run");
        }
        let _ = self.started.set(());
        Ok(())
    }

    /// Whether there are shutdown functions to run.
    pub(crate) fn has_shutdowns(&self) -> bool {
        self.has_started() && !self.shutdowns().is_empty()
    }

    /// Runs the shutdown functions at the same time until the deadline, so that a slow function
    /// does not shorten the time of the other functions. Does nothing unless all startup functions
    /// have succeeded.
    pub(crate) async fn shut_down(&self, deadline: Instant) -> Result<(), LifecycleError> {
        if !self.has_started() {
            return Ok(());
        }
        let shutdowns = std::mem::take(&mut *self.shutdowns());
        let mut running = JoinSet::new();
        for (position, hook) in shutdowns.into_iter().enumerate() {
            let run = hook::run((hook.function.0)());
            running.spawn(async move {
                let began = Instant::now();
                let ended = tokio::time::timeout_at(deadline.into(), run).await;
                let function = hook.name;
                let failure = match ended {
                    Ok(Ok(())) => {
                        tracing::info!(elapsed = ?began.elapsed(), "{function} has run");
                        return None;
                    }
                    Ok(Err(error)) => format!("{function} failed: {}", ErrorChain(&error)),
                    Err(_) => format!("{function} did not end within the shutdown grace"),
                };
                Some((position, failure))
            });
        }
        let mut failures: Vec<_> = running.join_all().await.into_iter().flatten().collect();
        failures.sort();
        if failures.is_empty() {
            return Ok(());
        }
        let failures = failures.into_iter().map(|(_, failure)| failure);
        Err(LifecycleError::Shutdown(failures.collect()))
    }

    fn shutdowns(&self) -> MutexGuard<'_, Vec<Hook<Shutdown>>> {
        self.shutdowns
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
