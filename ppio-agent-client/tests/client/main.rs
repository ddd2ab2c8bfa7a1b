//! The client against a platform with scripted replies, over real sockets.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod clients;
mod config;
mod envelopes;
mod errors;
mod faults;
mod futures;
mod get;
mod idempotency;
mod invocation;
mod keys;
mod leaks;
mod limits;
mod post;
mod resumable;
mod runs;
mod scopes;
mod secrets;
mod sessions;
mod settings_order;
mod standalone;
mod streams;
mod uploads;
mod wire;
