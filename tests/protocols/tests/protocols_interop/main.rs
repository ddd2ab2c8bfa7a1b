//! The published clients of the protocols call one agent, which serves all protocols.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod a2a;
mod ag_ui;
mod mcp;
mod openai;
mod openapi;
mod pages;
mod support;
mod ui_stream;
