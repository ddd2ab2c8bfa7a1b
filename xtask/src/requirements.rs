//! The test requirements that this machine does not meet. Tests that need them fail unless a
//! variable leaves them out.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::{setup, workspace};

/// The variable that `ppio-test-support` reads.
pub(crate) const LEAVE_OUT: &str = "PPIO_TEST_LEAVE_OUT";

/// Prints and returns the value of [`LEAVE_OUT`] for most tests: what the caller leaves out, and
/// what this machine lacks.
pub(crate) fn left_out() -> String {
    let is_root = is_root();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let has_cgroup = is_root && mounts.lines().any(is_writable_cgroup);
    unmet(&[("root", is_root), ("cgroup", has_cgroup)])
}

/// Whether this machine can run the isolated network tests.
pub(crate) fn isolates_networks() -> bool {
    let tun = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    is_root()
        && tun.is_ok()
        && workspace::program("pasta").is_some()
        // Root in a container may not be allowed to set up a network.
        && setup::succeeds(
            "unshare",
            &["--net", "--mount", "ip", "link", "set", "lo", "up"],
        )
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Prints and returns the value of [`LEAVE_OUT`] for tests with this Python interpreter.
pub(crate) fn left_out_with(interpreter: &Path) -> String {
    let is_shared = interpreter
        .canonicalize()
        .is_ok_and(|real| real.ancestors().all(every_user_passes));
    unmet(&[("shared-packages", is_shared)])
}

fn unmet(requirements: &[(&str, bool)]) -> String {
    let given = std::env::var(LEAVE_OUT).unwrap_or_default();
    let lacking = requirements.iter().filter(|(_, is_met)| !is_met);
    let all: Vec<_> = given
        .split(',')
        .filter(|name| !name.is_empty())
        .chain(lacking.map(|(name, _)| *name))
        .collect();
    let all = all.join(",");
    if !all.is_empty() {
        println!("\n==> tests with unmet requirements: left out ({all})");
    }
    all
}

fn every_user_passes(place: &Path) -> bool {
    fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
}

fn is_writable_cgroup(mount: &str) -> bool {
    let mut fields = mount.split(' ').skip(2);
    let (kind, options) = (fields.next(), fields.next().unwrap_or_default());
    kind == Some("cgroup2") && options.split(',').any(|option| option == "rw")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writable_cgroup_mount_is_recognized() {
        for (mount, expected) in [
            ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0", true),
            ("cgroup2 /sys/fs/cgroup cgroup2 ro,nosuid 0 0", false),
            ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0", false),
            ("", false),
        ] {
            assert_eq!(is_writable_cgroup(mount), expected, "{mount}");
        }
    }
}
