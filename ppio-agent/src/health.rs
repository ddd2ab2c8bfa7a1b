//! A status of the health check that code forces.
//!
//! A forced status is what `/ping` answers, before the [`ping`](macro@crate::ping) function and whatever
//! runs. In a request it is that of the request's agent, elsewhere that of all agents of the process.
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

/// Makes `/ping` answer with a status until [`clear_forced_status`] is called.
///
/// `Healthy` lets a platform reclaim the sandbox although tasks run; `HealthyBusy` keeps it.
pub fn force_status(status: PingStatus) {
    tracker().force_status(status);
}

/// Ends what [`force_status`] began.
pub fn clear_forced_status() {
    tracker().clear_forced_status();
}

/// The status that is forced, if there is one.
pub fn forced_status() -> Option<PingStatus> {
    tracker().forced_status()
}
