//! Code in a sandbox that tries to escape from it, as root and as an ordinary user, with and
//! without bubblewrap.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod execution;
mod fuzzing;
mod isolated_network;
mod limits;
mod network;
mod ports;
mod reading;
mod rights;
mod setting;
