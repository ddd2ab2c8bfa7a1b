//! Invocations that are kept: after their callers disconnect, for several readers, and by
//! idempotency key.

mod bad_input;
mod bounds;
mod contract;
mod cuts;
mod idempotency;
mod journal;
mod journal_kills;
mod large_errors;
mod lifecycle;
mod policies;
mod restarts;
mod sessions;
mod support;
