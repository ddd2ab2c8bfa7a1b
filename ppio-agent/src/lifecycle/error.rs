//! The error of states, and of startup and shutdown functions.

use crate::exchange::error::{Error, ErrorChain};

/// An error of states, or of startup or shutdown functions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// A function takes a state that no startup function builds and whose value was not given to
    /// the builder.
    #[error(
        "{function} takes `State<{state}>`, and no startup function of the agent builds `{state}`: \
         write one with `#[ppio::startup]`, or give the builder one with `.startup(..)` or the \
         value with `.state(..)`"
    )]
    NoState {
        /// The type of the state.
        state: &'static str,
        /// The function that takes the state, with its location.
        function: String,
    },
    /// Two states have the same type.
    #[error(
        "two states of the type `{state}`: {first} and {second}; remove one, or wrap its value in \
         a type of its own"
    )]
    TwoStates {
        /// The type of the states.
        state: &'static str,
        /// The provider of the first state.
        first: String,
        /// The provider of the second state.
        second: String,
    },
    /// [`with_state`](crate::AgentRuntimeApp::with_state) found no state of the type.
    #[error("cannot replace the state `{state}`, which no startup function of the agent builds")]
    UnknownState {
        /// The type of the state.
        state: &'static str,
    },
    /// [`with_state`](crate::AgentRuntimeApp::with_state) was called for a state that has a
    /// value already: from its startup function, an earlier call, or the builder.
    #[error("cannot replace the state `{state}`, which has a value already")]
    StateInUse {
        /// The type of the state.
        state: &'static str,
    },
    /// A startup function returned an error or panicked.
    #[error("{function} failed: {}", ErrorChain(.error))]
    Startup {
        /// The function, with its location.
        function: String,
        /// The error that the function returned, or the message of the panic.
        error: Error,
    },
    /// The agent is started again after its startup functions failed or were interrupted.
    #[error("cannot start the agent again, since its startup functions did not finish")]
    StartedBefore,
    /// Shutdown functions returned an error, panicked or did not end in time; a text for each.
    #[error("{}", .0.join("; "))]
    Shutdown(Vec<String>),
}
