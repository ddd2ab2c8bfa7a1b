//! The request for a build.

use std::collections::BTreeMap;

use super::step::TemplateStep;

/// The source that a build starts from.
#[derive(Debug, Clone)]
pub(crate) enum BuildSource {
    /// The programs of this machine. `image` is named in the log and not pulled.
    Host {
        image: Option<String>,
    },
    Template(String),
}

#[derive(Debug)]
pub(crate) struct BuildRequest {
    pub(crate) source: BuildSource,
    pub(crate) steps: Vec<TemplateStep>,
    pub(crate) start_command: Option<String>,
    pub(crate) ready_command: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}
