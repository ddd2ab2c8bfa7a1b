//! The kinds of isolation.

use std::fmt;

/// The way in which sandboxes are isolated from each other and from the machine.
///
/// With either kind, a process of a sandbox has a session of its own, no open file of the platform
/// except its standard streams, and no capability, and it cannot gain one (`no_new_privs`). A
/// platform that runs as root gives each sandbox a user of its own; no process of a sandbox is
/// root.
///
/// **The network is the machine's**: agents reach what the machine reaches, servers on its loopback
/// address and abstract Unix sockets included, and sandboxes share its ports. With bubblewrap, a
/// sandbox that is created without internet access has a network of its own, and
/// [`isolate_network`](crate::LocalPlatformBuilder::isolate_network) gives one to all other
/// sandboxes.
///
/// Which limits hold depends on the machine: see
/// [`LocalPlatform::unenforced_limits`](crate::LocalPlatform::unenforced_limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IsolationKind {
    /// Own process and mount namespaces through `bwrap`.
    ///
    /// A sandbox sees its own files, the machine's programs (`/usr`, `/bin` and similar
    /// directories, read-only), a copy of those files of `/etc` that programs need, and what
    /// [`expose`](crate::LocalPlatformBuilder::expose) adds. Home directories, `/var`, `/opt`,
    /// `/run`, `/sys` and processes outside the sandbox are not visible; settings of the kernel are
    /// read-only. The kernel itself is shared.
    Bubblewrap,
    /// A process group. It separates processes for pausing and killing, and **hides nothing** that
    /// its user can read: run only code that you trust.
    ///
    /// The processes run as the platform's user, with all its rights. If the platform runs as root,
    /// each sandbox runs as a user without rights, which can read only what every user of the
    /// machine can read: neither the platform's API key nor another sandbox's files, and no
    /// interpreter below `/root` either. The directories of these sandboxes are in
    /// `/var/lib/ppio-sandbox-local`, or in `/var/tmp/ppio-sandbox-local` if the first cannot be
    /// used.
    ///
    /// Pausing and killing find every process that a sandbox started, even one that left its
    /// process group, session and parent and cleared its environment. Without cgroups, a process
    /// that also changes its limit of file locks (`RLIMIT_LOCKS`) is not found. With cgroups, a
    /// process that moves itself to another cgroup is not found; only a platform of an ordinary
    /// user leaves its processes the right to do so.
    ProcessGroup,
}

impl fmt::Display for IsolationKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bubblewrap => "bubblewrap",
            Self::ProcessGroup => "process group",
        })
    }
}
