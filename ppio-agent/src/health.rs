//! Forces the status of the health check.
//!
//! `/ping` answers with a forced status, regardless of the [`ping`](macro@crate::ping) function and
//! of running tasks and invocations. Within a request, the status is forced for the request's
//! agent; outside of a request, for all agents of the process that have no forced status of their
//! own.
//!
//! ```
//! use ppio::{PingStatus, health};
//!
//! # struct Import; impl Import { fn run(&self) {} }
//! fn import(import: &Import) {
//!     health::force_status(PingStatus::HealthyBusy);
//!     import.run();
//!     health::clear_forced_status();
//! }
//! # import(&Import);
//! ```

use ppio_agent_protocol::PingStatus;

use crate::task::tracker;

/// Makes `/ping` answer with a status until [`clear_forced_status`] removes this status.
///
/// `Healthy` lets a platform reclaim the sandbox while tasks run; `HealthyBusy` keeps the sandbox.
pub fn force_status(status: PingStatus) {
    tracker().force_status(status);
}

/// Removes the status that [`force_status`] has set.
///
/// Within a request, this removes the status of the request's agent, and a status that was forced
/// outside of a request. Outside of a request, this removes only the latter.
pub fn clear_forced_status() {
    tracker().clear_forced_status();
}

/// Returns the forced status, if there is one.
pub fn forced_status() -> Option<PingStatus> {
    tracker().forced_status()
}
