//! What the tests across crates share: an example running as a process of its own, and the published
//! packages of other languages.
//!
//! Everything here is for tests and panics with an explanation when it cannot do what it was asked.

mod agent_process;
pub mod call;
mod capture;
mod documentation;
mod example_binary;
mod interop;
mod local_platform;
pub mod scripted_platform;
mod watchdog;

pub use agent_process::{AgentLauncher, AgentProcess};
pub use documentation::{envd, example, ticket};
pub use example_binary::{build as example_binary, build_agent as agent_binary};
pub use interop::{agent_client_interpreter, browser, node_modules, python_interpreter};
pub use local_platform::{
    Keeping, RawAnswer, TestPlatform, processes_marked, processes_running, raw_request, until,
};
