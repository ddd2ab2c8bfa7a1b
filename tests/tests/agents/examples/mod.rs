//! Runs examples as a reader would: as separate processes, called over a socket.

mod a2a_mcp;
mod approval;
mod blocking;
mod graph;
mod hello;
mod llm_chat;
mod middleware;
mod rig_chat;
mod routes;
mod state;
mod stream;
mod typed;
