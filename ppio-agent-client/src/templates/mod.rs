//! Agent templates, from which sessions are created.

mod agent_template;
mod filter;
mod list_templates;
mod manager;
mod start_command;
mod start_command_cache;

pub use agent_template::{AgentTemplate, RuntimeInfo};
pub use list_templates::ListTemplates;
pub use manager::TemplateManager;

pub(crate) use start_command::{START_TIMEOUT, StartCommand};
pub(crate) use start_command_cache::StartCommandCache;
