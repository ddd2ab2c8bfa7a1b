//! Sandboxes: how they are created, what runs in them, and how they end.

mod create_error;
mod creation;
mod directory_watch;
mod expiry;
mod instance;
mod lifecycle;
mod lifetime;
mod logs;
mod metrics;
mod ports;
mod process;
mod process_table;
mod registry;
mod start_process;
mod template_image;
mod terminal;
mod user;
mod verified_listeners;

pub(crate) use create_error::CreateError;
pub(crate) use creation::NewSandbox;
pub(crate) use directory_watch::{ChangeKind, DirectoryChange, DirectoryWatch};
pub(crate) use instance::{AGENT_PORT, Sandbox};
pub(crate) use lifecycle::ChangeError;
pub(crate) use lifetime::{OnTimeout, Phase};
pub(crate) use logs::{Level, LineCutter, LogEntry, Logs};
pub(crate) use metrics::Sample;
pub(crate) use process::{Process, ProcessConfig, ProcessEvent, Streams};
pub(crate) use registry::Registry;
pub(crate) use start_process::StartError;
pub(crate) use template_image::TemplateImage;
pub(crate) use terminal::Terminal;
pub(crate) use user::user_environment;
pub(crate) use verified_listeners::VerifiedListener;
