//! Processes of this machine: starting them, finding those of a sandbox, ending what is left.

mod cleanup;
mod listener_table;
mod marks;
mod process_discovery;
mod programs;
mod sock_diag;
mod spawning;
mod watchdog;

pub(crate) use cleanup::{remove_runs, sweep, sweep_all};
pub(crate) use listener_table::ListenerTable;
pub(crate) use marks::{GROUPS, LOCKS, MARK};
pub(crate) use process_discovery::{children_of, in_namespace, of, signal};
pub(crate) use programs::{Programs, become_user, find, push};
pub(crate) use spawning::{input_pipe, output_pipe, settle, spawn};
pub(crate) use watchdog::Watchdog;
