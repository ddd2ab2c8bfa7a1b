//! Files of sandboxes and templates: paths confined to a sandbox, copies, owners.

mod as_user;
mod confine;
mod confined_copy;
mod confined_path;
mod copy_tree;
mod disk_usage;
mod open_directory;
mod ownership;
mod reachable;
mod remove;
mod sandbox_files;

pub(crate) use confine::{LastLink, PathError, USER_HOME, confine, join};
pub(crate) use confined_copy::copy;
pub(crate) use confined_path::ConfinedPath;
pub(crate) use copy_tree::copy_tree;
pub(crate) use disk_usage::disk_usage;
pub(crate) use open_directory::OpenDirectory;
pub(crate) use ownership::Owner;
pub(crate) use reachable::every_user_passes;
pub(crate) use remove::{entries, remove_directory, remove_directory_blocking};
pub(crate) use sandbox_files::SandboxFiles;
