//! Every example as its reader runs it: a process of its own, called over a socket.

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
