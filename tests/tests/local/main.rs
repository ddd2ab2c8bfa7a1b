//! The client and agents on the local platform.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod client;
mod client_examples;
mod client_sandbox;
mod daemon;
mod isolation_mode;
mod many;
mod options;
mod platform_with_client;
mod prepared;
mod proxies;
mod sandboxes;
mod templates;
#[path = "../../../ppio-sandbox-local/tests/local/test_platform.rs"]
mod test_platform;
mod traffic;
