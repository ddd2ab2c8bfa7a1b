//! Starts processes, finds those of a sandbox, and ends those of platforms that are gone.

mod cleanup;
mod listener_table;
mod listening_ports;
mod marks;
mod process_discovery;
mod process_stat;
mod programs;
mod sock_diag;
mod spawning;
mod watchdog;

pub(crate) use cleanup::{clean_up_all_runs, clean_up_run, remove_runs};
pub(crate) use listener_table::ListenerTable;
pub use listening_ports::listening_ports;
pub(crate) use listening_ports::open_sockets;
pub(crate) use marks::{GROUPS_FILE, LOCKS_FILE, MARK_VARIABLE};
pub(crate) use process_discovery::{
    children_of, descendants, find_by_marks, find_descendants, in_namespace, is_in_namespace,
    signal,
};
pub(crate) use process_stat::ProcessStat;
pub(crate) use programs::{SystemPrograms, find_program, push_program, unprivileged_user};
pub(crate) use spawning::{input_pipe, output_pipe, spawn, wait_for_starts};
pub(crate) use watchdog::PlatformWatchdog;
