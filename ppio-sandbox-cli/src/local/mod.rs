//! `local`: the platform on this machine, one file per command.

pub(crate) mod down;
pub(crate) mod env;
mod report;
pub(crate) mod status;
pub(crate) mod up;
