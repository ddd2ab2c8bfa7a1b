//! The commands about an agent, one file each, and what several of them need.

mod answer;
pub(crate) mod configure;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod dev;
pub(crate) mod init;
pub(crate) mod invoke;
pub(crate) mod list;
pub(crate) mod logs;
mod request;
mod start;
pub(crate) mod status;
pub(crate) mod stop;
mod target;

/// An id that nothing else has.
fn unique() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}
