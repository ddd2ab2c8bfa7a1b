//! Templates: what sandboxes are made from, kept across restarts.

mod archive;
mod build;
mod confined_copy;
mod copy_tree;
mod job;
mod name;
mod record;
mod steps;
mod store;
mod stored;
mod uploads;

pub(crate) use archive::unpacked_limit;
pub(crate) use build::{BuildRequest, Builder, STEP, Source, Step};
pub(crate) use copy_tree::copy_tree;
pub(crate) use name::TemplateName;
pub(crate) use record::{BuildRecord, BuildStatus, TagRecord, TemplateRecord};
pub(crate) use store::{NewBuild, StoreError, TemplateImage, TemplateStore};
pub(crate) use uploads::{UploadError, Uploads, archive_path, is_hash};
