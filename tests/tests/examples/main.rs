//! Every example as its reader runs it: a process of its own, called over a socket.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod blocking;
mod hello;
mod llm_chat;
mod middleware;
mod stream;
mod typed;
