//! How a process of a sandbox is recognized where no cgroup holds it.

/// Set for every process of a sandbox to the sandbox's directory, so that none can be lost.
pub(crate) const MARK_VARIABLE: &str = "PPIO_LOCAL_SANDBOX";

/// Where a sandbox's process groups are written down, each as the leader's line of `/proc`.
pub(crate) const GROUPS_FILE: &str = "groups";

/// Where the number is written down that every process of a sandbox has as its limit of file locks.
///
/// Linux has not enforced that limit since 2.4 and still hands it on to children, whatever they
/// do to their environment, session and parents.
pub(crate) const LOCKS_FILE: &str = "locks";
