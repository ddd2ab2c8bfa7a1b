//! The stored record of a template.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::sandbox::TemplateImage;

/// The template of clients that name none: the programs of this machine, without files.
pub(crate) const BASE: &str = "base";

/// The file in a template's directory that holds its record.
pub(crate) const RECORD: &str = "template.json";

/// The tag that a name without a tag refers to.
pub(crate) const DEFAULT_TAG: &str = "default";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TemplateRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    #[serde(with = "clock::stored")]
    pub(crate) created_at: SystemTime,
    #[serde(with = "clock::stored")]
    pub(crate) updated_at: SystemTime,
    /// Free text by key; `agent_runtime` holds the agent's configuration as JSON.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The builds, oldest first.
    pub(crate) builds: Vec<BuildRecord>,
    pub(crate) tags: BTreeMap<String, TagRecord>,
    /// The sandbox that the template is a snapshot of.
    #[serde(default)]
    pub(crate) snapshot_of: Option<String>,
    #[serde(default)]
    pub(crate) spawn_count: u64,
    #[serde(default)]
    pub(crate) last_spawned_unix: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TagRecord {
    pub(crate) build_id: String,
    #[serde(with = "clock::stored")]
    pub(crate) created_at: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BuildState {
    Waiting,
    Building,
    Ready,
    Error,
}

impl BuildState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BuildRecord {
    pub(crate) id: String,
    pub(crate) status: BuildState,
    pub(crate) cpu_count: u32,
    pub(crate) memory_mb: u32,
    #[serde(with = "clock::stored")]
    pub(crate) created_at: SystemTime,
    #[serde(with = "clock::stored")]
    pub(crate) updated_at: SystemTime,
    /// The tags that the build gets once it is ready.
    pub(crate) wanted_tags: Vec<String>,
    /// The metadata that the template gets once the build is ready.
    #[serde(default)]
    pub(crate) wanted_metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) disk_mb: u64,
    #[serde(default)]
    pub(crate) recipe: Recipe,
    /// Why the build failed, and in which step.
    #[serde(default)]
    pub(crate) failure: Option<BuildFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildFailure {
    pub(crate) message: String,
    pub(crate) step: Option<String>,
}

/// The settings that a build results in, besides its files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Recipe {
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) directory: Option<String>,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) start_command: Option<String>,
    #[serde(default)]
    pub(crate) ready_command: Option<String>,
}

impl From<TemplateImage> for Recipe {
    fn from(image: TemplateImage) -> Self {
        Self {
            environment: image.environment,
            directory: image.directory,
            user: image.user,
            start_command: image.start_command,
            ready_command: image.ready_command,
        }
    }
}

impl TemplateRecord {
    pub(crate) fn build(&self, id: &str) -> Option<&BuildRecord> {
        self.builds.iter().find(|build| build.id == id)
    }

    pub(crate) fn build_mut(&mut self, id: &str) -> Option<&mut BuildRecord> {
        self.builds.iter_mut().find(|build| build.id == id)
    }

    /// Returns the build of a name without a tag: the default tag's, or the latest that is ready.
    pub(crate) fn current(&self) -> Option<&BuildRecord> {
        let tagged = self
            .tags
            .get(DEFAULT_TAG)
            .and_then(|tag| self.build(&tag.build_id));
        tagged.or_else(|| {
            self.builds
                .iter()
                .rev()
                .find(|build| build.status == BuildState::Ready)
        })
    }
}
