//! The control plane and the daemon in each sandbox (envd), for any platform with the E2B protocol.
//!
//! Sessions and invocations build on this module; it depends on neither.
//!
//! ```no_run
//! use std::time::Duration;
//! use ppio_agent_client::AgentRuntimeClient;
//! use ppio_agent_client::platform::{Command, NewSandbox};
//!
//! # async fn run() -> Result<(), ppio_agent_client::Error> {
//! let client = AgentRuntimeClient::from_env()?;
//! let platform = client.platform();
//! let sandbox = platform
//!     .create_sandbox(&NewSandbox::new("base", Duration::from_secs(60)))
//!     .await?;
//! let envd = client.envd(&sandbox.address(), sandbox.envd_access_token.as_ref());
//! let output = envd.start(&Command::shell("uname -a")).await?.output().await?;
//! println!("{}", output.stdout_text());
//! platform.kill_sandbox(&sandbox.sandbox_id).await?;
//! # Ok(())
//! # }
//! ```

mod builds;
mod call;
mod control_plane;
mod endpoints;
mod envd;
mod error_response;
mod identifiers;
mod logs_and_metrics;
mod sandbox;
mod sandboxes;
mod tags;
mod template;
mod templates;

pub use builds::{BuildLog, BuildPhase, BuildReason, BuildStatus, BuildStep, NewBuild, StepKind};
pub use builds::{BuildLogQuery, BuildTicket, FileUpload, NewTemplate};
pub use control_plane::ControlPlane;
pub use endpoints::SandboxAddress;
pub use envd::{
    ChangeKind, Command, DirectoryEvent, DirectoryEvents, Envd, ExitStatus, FileInfo, FileKind,
    Output, ProcessEvent, ProcessEvents, ProcessInfo, ProcessSelector, Signal, TerminalSize,
    WrittenFile,
};
pub use logs_and_metrics::{LogEntry, LogQuery, SandboxMetric};
pub use sandbox::{NewSandbox, Sandbox, SandboxInfo, SandboxState, VolumeMount};
pub use sandboxes::SandboxFilter;
pub use tags::TemplateTag;
pub use template::{Template, TemplateAlias, TemplateBuild};

pub(crate) use call::{Service, ServiceCall, read_json};
pub(crate) use endpoints::PlatformEndpoints;
pub(crate) use error_response::error_message;
pub(crate) use identifiers::check_name;
