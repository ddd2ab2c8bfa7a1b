//! The requests, contexts and return types of entrypoints.

#[macro_use]
mod table;

mod contexts;
mod errors;
mod iterators;
mod replies;
mod requests;
mod streams;
mod values;
