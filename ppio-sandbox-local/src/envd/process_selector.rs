//! Parts of messages of the process service: a process, named by pid or tag, and a terminal.

use std::sync::Arc;

use serde::Deserialize;

use super::connect::ConnectError;
use crate::sandbox::{LocalSandbox, Process};

#[derive(Debug, Deserialize)]
pub(super) struct Selector {
    pid: Option<u32>,
    tag: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SelectedProcess {
    pub(super) process: Selector,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pty {
    pub(super) size: Option<PtySize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PtySize {
    pub(super) cols: u16,
    pub(super) rows: u16,
}

pub(super) fn find(
    sandbox: &LocalSandbox,
    selector: &Selector,
) -> Result<Arc<Process>, ConnectError> {
    match (selector.pid, &selector.tag) {
        (Some(pid), _) => sandbox
            .processes
            .by_pid(pid)
            .ok_or_else(|| ConnectError::not_found(format!("process with pid {pid} not found"))),
        (None, Some(tag)) => sandbox
            .processes
            .by_tag(tag)
            .ok_or_else(|| ConnectError::not_found(format!("process with tag {tag} not found"))),
        (None, None) => Err(ConnectError::invalid(
            "the selector has neither a pid nor a tag",
        )),
    }
}
