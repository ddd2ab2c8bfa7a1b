//! Tests the exports of agents and clients as an OTLP receiver gets them.

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
