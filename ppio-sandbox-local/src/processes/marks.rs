//! The marks of a sandbox's processes, by which they are found if there is no cgroup.

/// The variable that every process of a sandbox is started with: the sandbox's directory.
pub(crate) const MARK_VARIABLE: &str = "PPIO_LOCAL_SANDBOX";

/// The file with a sandbox's process groups, each as the leader's line of `/proc/<pid>/stat`.
pub(crate) const GROUPS_FILE: &str = "groups";

/// The file with the number that every process of a sandbox has as its limit of file locks.
///
/// Linux has not enforced that limit since 2.4, and children inherit it. It marks processes of an
/// ordinary user without namespaces that left their session, group and parent and cleared their
/// environment: nothing else that they inherit distinguishes them from other processes of that
/// user.
pub(crate) const LOCKS_FILE: &str = "locks";
