//! The states of one agent by their types.
//!
//! Handlers are created before the startup functions run, so each handler holds the [`StateSlot`]
//! of every state that it takes. A missing state is detected when the agent is built, and a call
//! needs no lookup.

use std::any::{Any, TypeId, type_name};
use std::sync::{Arc, OnceLock};

use super::error::LifecycleError;
use super::state::State;

/// The slot of one state, which is empty until the state is built or its value is given to the
/// agent.
pub struct StateSlot<T>(Arc<OnceLock<State<T>>>);

impl<T> StateSlot<T> {
    pub(crate) fn empty() -> Self {
        Self(Arc::new(OnceLock::new()))
    }

    pub(crate) fn of(value: T) -> Self {
        Self(Arc::new(OnceLock::from(State::new(value))))
    }

    /// Returns the state. The slot is filled, because no request is answered before the startup
    /// functions have run.
    pub(crate) fn state(&self) -> State<T> {
        match self.0.get() {
            Some(state) => state.clone(),
            None => unreachable!("{} is used before the agent has started", type_name::<T>()),
        }
    }

    pub(crate) fn is_filled(&self) -> bool {
        self.0.get().is_some()
    }

    /// Fills the slot, unless it is filled.
    pub(crate) fn fill(&self, value: T) {
        let _ = self.0.set(State::new(value));
    }
}

impl<T> Clone for StateSlot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A slot of any type.
pub(crate) struct AnySlot {
    type_id: TypeId,
    type_name: &'static str,
    slot: Box<dyn Any + Send + Sync>,
}

impl AnySlot {
    pub(crate) fn new<T: Send + Sync + 'static>(slot: StateSlot<T>) -> Self {
        Self {
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
            slot: Box::new(slot),
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }
}

/// The states of one agent.
#[derive(Default)]
pub(crate) struct States {
    /// The slots, each with the name of its provider, for errors.
    slots: Vec<(AnySlot, String)>,
    /// The error for the first state that a function takes and that has no provider.
    missing: Option<LifecycleError>,
}

impl States {
    /// Adds a state. There is at most one state of each type, except for `()`, which is returned by
    /// startup functions that only check something.
    pub(crate) fn add(&mut self, slot: AnySlot, provider: String) -> Result<(), LifecycleError> {
        let same = |other: &&(AnySlot, String)| other.0.type_id == slot.type_id;
        if let Some((_, first)) = self.slots.iter().find(same)
            && slot.type_id != TypeId::of::<()>()
        {
            return Err(LifecycleError::TwoStates {
                state: slot.type_name,
                first: first.clone(),
                second: provider,
            });
        }
        self.slots.push((slot, provider));
        Ok(())
    }

    /// Returns the lookup of the states that one function takes.
    pub(crate) fn for_function(&mut self, function: &str) -> StateLookup<'_> {
        StateLookup {
            states: self,
            function: function.to_owned(),
        }
    }

    /// Fills a slot in place of its startup function, which then does not run.
    pub(crate) fn replace<T: Send + Sync + 'static>(&self, value: T) -> Result<(), LifecycleError> {
        match self.find::<T>() {
            Some(slot) if slot.is_filled() => Err(LifecycleError::StateInUse {
                state: type_name::<T>(),
            }),
            Some(slot) => {
                slot.fill(value);
                Ok(())
            }
            None => Err(LifecycleError::UnknownState {
                state: type_name::<T>(),
            }),
        }
    }

    /// Returns an error if a function takes a state that has no provider.
    pub(crate) fn check(&mut self) -> Result<(), LifecycleError> {
        self.missing.take().map_or(Ok(()), Err)
    }

    fn find<T: 'static>(&self) -> Option<StateSlot<T>> {
        let mut slots = self.slots.iter();
        slots.find_map(|(any, _)| any.slot.downcast_ref::<StateSlot<T>>().cloned())
    }
}

/// Looks up the states that one function takes.
pub struct StateLookup<'a> {
    states: &'a mut States,
    function: String,
}

impl StateLookup<'_> {
    /// Returns the slot of a state. If there is no such state, [`States::check`] fails.
    pub(crate) fn slot<T: Send + Sync + 'static>(&mut self) -> StateSlot<T> {
        self.states.find().unwrap_or_else(|| {
            let function = &self.function;
            self.states
                .missing
                .get_or_insert_with(|| LifecycleError::NoState {
                    state: type_name::<T>(),
                    function: function.clone(),
                });
            StateSlot::empty()
        })
    }
}
