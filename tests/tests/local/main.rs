//! The client and agents on the local platform.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod client;
mod client_examples;
mod client_sandbox;
mod cutting_proxy;
mod daemon;
mod envelopes;
mod isolation_mode;
mod journals;
mod lists;
mod many;
mod network;
mod options;
mod platform_with_client;
mod ports;
mod prepared;
mod proxies;
mod python_examples;
mod raw_calls;
mod runs;
mod sandboxes;
mod signed_links;
mod snapshots;
mod start_commands;
mod templates;
#[path = "../../../ppio-sandbox-local/tests/local/test_platform.rs"]
mod test_platform;
mod traffic;
mod uploads;
mod websockets;
