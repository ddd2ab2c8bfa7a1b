//! Code in a sandbox that tries to get out of it, as root and as an ordinary user, with bubblewrap
//! and without.

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
