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

mod call;
mod control_plane;
mod endpoints;
mod envd;
mod error_response;
mod identifiers;
mod json;

pub use control_plane::{
    BuildLog, BuildLogQuery, BuildPhase, BuildReason, BuildStatus, BuildStep, BuildTicket,
    ControlPlane, FileUpload, LogEntry, LogQuery, NewBuild, NewSandbox, NewTemplate, Sandbox,
    SandboxFilter, SandboxInfo, SandboxMetric, SandboxState, StepKind, Template, TemplateAlias,
    TemplateBuild, TemplateTag, VolumeMount,
};
pub use endpoints::SandboxAddress;
pub use envd::{
    ChangeKind, Command, DirectoryEvent, DirectoryEvents, Envd, ExitStatus, FileInfo, FileKind,
    Output, ProcessEvent, ProcessEvents, ProcessInfo, ProcessSelector, Signal, TerminalSize,
    WrittenFile,
};

pub(crate) use call::{Service, ServiceCall, encode};
pub(crate) use endpoints::PlatformEndpoints;
pub(crate) use error_response::error_message;
pub(crate) use identifiers::check_name;
pub(crate) use json::read_json;
