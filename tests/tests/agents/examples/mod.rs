//! Every example as its reader runs it: a process of its own, called over a socket.

mod blocking;
mod hello;
mod llm_chat;
mod middleware;
mod routes;
mod state;
mod stream;
mod typed;
