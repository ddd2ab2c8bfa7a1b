//! The control plane: creates, lists and deletes sandboxes and templates.

mod build;
mod build_calls;
mod client;
mod logs_and_metrics;
mod pages;
mod sandbox;
mod sandbox_calls;
mod tag_calls;
mod template;
mod template_calls;

pub use build::{
    BuildLog, BuildLogQuery, BuildPhase, BuildReason, BuildStatus, BuildStep, BuildTicket,
    FileUpload, NewBuild, NewTemplate, StepKind,
};
pub use client::ControlPlane;
pub use logs_and_metrics::{LogEntry, LogQuery, SandboxMetric};
pub use sandbox::{NewSandbox, Sandbox, SandboxInfo, SandboxState, VolumeMount};
pub use sandbox_calls::SandboxFilter;
pub use tag_calls::TemplateTag;
pub use template::{Template, TemplateAlias, TemplateBuild};
