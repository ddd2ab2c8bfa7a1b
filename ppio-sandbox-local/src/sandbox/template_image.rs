//! The template that a sandbox is created from.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The finished build that a sandbox is created from.
#[derive(Debug, Clone)]
pub(crate) struct TemplateImage {
    pub(crate) template_id: String,
    pub(crate) alias: Option<String>,
    /// The files, if the build left any.
    pub(crate) root: Option<PathBuf>,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) directory: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) start_command: Option<String>,
    pub(crate) ready_command: Option<String>,
}

/// The start command of a sandbox and its ready command.
#[derive(Debug, Clone, Default)]
pub(crate) struct StartCommands {
    pub(crate) command: Option<String>,
    /// The command that succeeds once the start command is ready.
    pub(crate) ready: Option<String>,
    pub(crate) user: String,
}
