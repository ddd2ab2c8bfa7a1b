//! The limits of sandboxes that this machine does not enforce.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cgroup::CgroupParent;

/// A limit of sandboxes that this machine does not enforce, or only in part.
///
/// Returned by [`LocalPlatform::unenforced_limits`](crate::LocalPlatform::unenforced_limits) and
/// [`RunningPlatform::unenforced_limits`](crate::RunningPlatform::unenforced_limits). Its `Display`
/// is `memory: the limit holds for each process, …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnenforcedLimit {
    resource: String,
    reason: String,
}

impl UnenforcedLimit {
    fn new(resource: &str, reason: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// Returns the resource: `memory`, `processors`, `processes` or `disk`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns what applies instead, and what would enforce the limit.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for UnenforcedLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.resource, self.reason)
    }
}

/// The limits that are enforced without a cgroup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Substitutes {
    /// `taskset` restricts a sandbox to as many processors as it may use.
    pub(crate) processors: bool,
    /// Resource limits count the processes of each sandbox separately.
    pub(crate) processes: bool,
}

/// Returns the limits that are not enforced.
pub(crate) fn unenforced(
    cgroup: Option<&CgroupParent>,
    substitutes: Substitutes,
) -> Vec<UnenforcedLimit> {
    let enforced = cgroup.map(CgroupParent::controllers).unwrap_or_default();
    let mut missing = Vec::new();
    if !enforced.memory {
        missing.push(UnenforcedLimit::new(
            "memory",
            "the limit holds for each process, not for all of a sandbox together; a writable \
             cgroup (version 2) with the memory controller enforces it",
        ));
    }
    if !enforced.cpu && !substitutes.processors {
        missing.push(UnenforcedLimit::new(
            "processors",
            "a sandbox can use every processor; install taskset, or run where a cgroup (version 2) \
             with the cpu controller is writable",
        ));
    }
    if !enforced.pids && !substitutes.processes {
        missing.push(UnenforcedLimit::new(
            "processes",
            "a sandbox can start processes until the machine can start no more; a writable \
             cgroup (version 2) with the pids controller enforces a limit, and so does bubblewrap \
             on Linux 5.14 or later",
        ));
    }
    missing.push(UnenforcedLimit::new(
        "disk",
        "the size of each file is limited, the sum of a sandbox's files is not; a home on a file \
         system of its own bounds all sandboxes together",
    ));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_enforced_without_a_cgroup_are_not_listed() {
        let listed = |processors, processes| {
            let substitutes = Substitutes {
                processors,
                processes,
            };
            let listed = unenforced(None, substitutes);
            let names: Vec<_> = listed.iter().map(|limit| limit.resource.clone()).collect();
            names.join(" ")
        };
        assert_eq!(listed(false, false), "memory processors processes disk");
        assert_eq!(listed(true, false), "memory processes disk");
        assert_eq!(listed(true, true), "memory disk");
    }
}
