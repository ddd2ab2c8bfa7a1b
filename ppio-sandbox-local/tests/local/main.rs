//! The local platform, called without a client.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
mod idempotency;
mod killed;
mod malformed;
mod test_platform;
