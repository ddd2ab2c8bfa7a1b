//! Shared code for the tests of several crates: agents as processes, a platform and a model
//! endpoint with scripted replies, raw requests, and waiting for conditions.
//!
//! This crate depends on no other crate of this workspace, so that every crate can use it. It is
//! only for tests: a failure panics with an explanation.

mod agent_dev;
mod agent_process;
pub mod call;
mod capture;
#[doc(hidden)]
pub mod client_example;
mod example_binary;
mod free_port;
mod interop;
mod metrics;
pub mod model_endpoint;
mod process_search;
mod raw_request;
mod requirement;
pub mod scripted_platform;
mod wait;
mod watchdog;

pub use agent_dev::AgentDev;
pub use agent_process::{AgentLauncher, AgentProcess};
pub use example_binary::{
    build as example_binary, build_alone as example_binary_alone, build_from as example_program,
    build_program as test_program, cargo,
};
pub use free_port::free_port;
pub use interop::{
    agent_client_interpreter, browser, node_modules, protocols_interpreter, protocols_node_modules,
    python_interpreter,
};
pub use metrics::{metric, samples};
pub use process_search::{processes_marked, processes_naming, processes_running, sandbox_folders};
pub use raw_request::{RawAnswer, raw_request};
pub use requirement::{Requirement, every_user_passes};
pub use wait::{DEADLINE, eventually, eventually_blocking, eventually_some, with_timeout};
