//! Agents as processes, called over a socket.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod examples;
mod import_surface;
mod launcher;
mod lifecycle;
mod log;
mod settings;
mod state;
mod websockets;
