//! What agents and clients export, as a receiver of OTLP gets it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod agents;
mod client;
mod dev;
mod faults;
mod otlp;
mod propagation;
mod receiver;
mod settings;
mod signals;
mod spans;
