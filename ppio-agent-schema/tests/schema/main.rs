//! Types and the schemas that are found for them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(dead_code, reason = "only the types of the fields matter")]
#![expect(
    clippy::items_after_statements,
    reason = "a test defines a type directly before its expected schema"
)]

mod found;
mod order;
mod reply;
mod traced;
