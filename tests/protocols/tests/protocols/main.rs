//! The protocols over real sockets.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod a2a;
mod ag_ui;
mod line_breaks;
mod mailing;
mod matrix;
mod mcp;
mod openai;
mod settings;
mod shapes;
mod support;
mod ui_stream;
mod web_socket;
