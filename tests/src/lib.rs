//! What the tests across crates share.

pub mod scripted_platform;
