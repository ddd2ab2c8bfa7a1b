//! The refunds that wait for a person's approval.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ppio::{InvocationRequest, Value, json};

/// The largest number of waiting refunds; beyond it, the oldest is dropped.
const MAX_WAITING: usize = 1_000;

/// A refund that the agent has calculated.
#[derive(Clone, Copy)]
pub(crate) struct Refund {
    pub(crate) order: u32,
    pub(crate) cents: u32,
}

impl Refund {
    /// Returns the arguments of the waiting tool call.
    pub(crate) fn arguments(self) -> Value {
        json!({ "order": self.order, "cents": self.cents })
    }
}

/// The waiting refunds, in memory, for one process; several processes would share a database.
#[derive(Default)]
pub(crate) struct Refunds(Mutex<VecDeque<Waiting>>);

struct Waiting {
    id: String,
    /// The chat in which the refund was requested; no other chat can decide on it.
    thread_id: Option<String>,
    refund: Refund,
}

impl Refunds {
    /// Keeps a refund until its chat decides on it, or until more than `MAX_WAITING` wait.
    pub(crate) fn add(&self, id: &str, refund: Refund, request: &InvocationRequest) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(Waiting {
            id: id.to_owned(),
            thread_id: request.thread_id.clone(),
            refund,
        });
    }

    /// Removes and returns the refund with this id, so that it is decided on only once.
    pub(crate) fn take(&self, id: &str, request: &InvocationRequest) -> Option<Refund> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |entry: &Waiting| entry.id == id && entry.thread_id == request.thread_id;
        let found = waiting.iter().position(is_meant)?;
        waiting.remove(found).map(|entry| entry.refund)
    }
}
