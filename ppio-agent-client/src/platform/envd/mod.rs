//! envd, the daemon in each sandbox: health, files, processes.

mod daemon;
mod directory_events;
mod envelope;
mod files;
mod filesystem;
mod messages;
mod process;
mod process_events;
mod rpc;

pub use daemon::Envd;
pub use directory_events::{ChangeKind, DirectoryEvent, DirectoryEvents};
pub use files::WrittenFile;
pub use filesystem::{FileInfo, FileKind};
pub use process::{Command, ProcessInfo, ProcessSelector, Signal, TerminalSize};
pub use process_events::{ExitStatus, Output, ProcessEvent, ProcessEvents};
