//! Agents written with [rig](https://docs.rs/rig) as PPIO agents.
//!
//! ```no_run
//! use ppio::{ChatEvent, Error, InvocationRequest, State, Stream};
//! use ppio_rig::rig::agent::{Agent, AgentBuilder};
//!
//! # fn model() -> Result<ppio_rig::rig::DynModel<ppio_rig::rig::operation::Completion>, Error> {
//! #     Err(Error::internal("no model"))
//! # }
//! #[ppio::startup]
//! fn build() -> Result<Agent, Error> {
//!     Ok(AgentBuilder::new(model()?).preamble("Be brief.").build())
//! }
//!
//! #[ppio::entrypoint]
//! async fn agent(
//!     request: InvocationRequest,
//!     agent: State<Agent>,
//! ) -> Result<impl Stream<Item = Result<ChatEvent, Error>> + use<>, Error> {
//!     Ok(ppio_rig::events(ppio_rig::run(&agent, &request)?.stream()))
//! }
//! ```
//!
//! [`run`] starts a run of the agent from the chat members of a request, and the [`events`] of the
//! run are the answer in every protocol of the runtime. [`messages`] and [`error`] are the
//! conversions that they use, for code that calls a model without an agent.
//!
//! The types are those of [`rig`], which is re-exported. Neither an HTTP client nor the macros of
//! rig are built in; an application turns them on with a dependency of its own, such as
//! `rig = { version = "0.44", default-features = false, features = ["reqwest", "derive"] }`.

#![forbid(unsafe_code)]

mod chat_events;
mod error;
mod messages;
mod run;

pub use chat_events::{ChatEvents, events};
pub use error::error;
pub use messages::messages;
/// The version of rig that this crate adapts.
pub use rig;
pub use run::run;
