//! Sandboxes: how they are created, what runs in them, and how they end.

mod create_error;
mod creation;
mod directory_watch;
mod expiry;
mod ingress;
mod instance;
mod lifecycle;
mod lifetime;
mod logs;
mod metrics;
mod ports;
mod process;
mod process_table;
mod registry;
mod start_command;
mod start_process;
mod template_image;
mod terminal;
mod user;
mod verified_listeners;

pub(crate) use create_error::CreateError;
pub(crate) use creation::SandboxSpec;
pub(crate) use directory_watch::{DirectoryChange, DirectoryChangeKind, DirectoryWatch};
pub(crate) use ingress::{HostMask, Ingress};
pub(crate) use instance::{AGENT_PORT, LocalSandbox};
pub(crate) use lifecycle::ChangeError;
pub(crate) use lifetime::{OnTimeout, PauseKind, SandboxPhase};
pub(crate) use logs::{LineCutter, LogBuffer, LogLevel, LogLine};
pub(crate) use metrics::MetricSample;
pub(crate) use process::{OutputEvent, Process, ProcessConfig, StandardStreams};
pub(crate) use registry::SandboxRegistry;
pub(crate) use start_process::ProcessStartError;
pub(crate) use template_image::TemplateImage;
pub(crate) use terminal::PseudoTerminal;
pub(crate) use user::{UnknownUser, check_user, user_environment};
pub(crate) use verified_listeners::VerifiedListener;
