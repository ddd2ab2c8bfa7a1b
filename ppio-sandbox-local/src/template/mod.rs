//! Templates, from which sandboxes are created; they are kept across restarts.

mod archive;
mod build_log;
mod build_request;
mod builder;
mod job;
mod load;
mod name;
mod record;
mod step;
mod step_runner;
mod store;
mod uploads;

pub(crate) use archive::unpacked_limit;
pub(crate) use build_log::STEP_FIELD;
pub(crate) use build_request::{BuildRequest, BuildSource};
pub(crate) use builder::TemplateBuilder;
pub(crate) use name::TemplateName;
pub(crate) use record::{
    BuildFailure, BuildRecord, BuildState, DEFAULT_TAG, Recipe, TagRecord, TemplateRecord,
};
pub(crate) use step::TemplateStep;
pub(crate) use store::{RequestedBuild, StoreError, TemplateStore};
pub(crate) use uploads::{UploadError, Uploads, archive_path, is_hash};
