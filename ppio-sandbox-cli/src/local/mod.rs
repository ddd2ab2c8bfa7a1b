//! The commands about the platform on this machine, one file each.

pub(crate) mod down;
pub(crate) mod env;
pub(crate) mod status;
pub(crate) mod up;
