//! The requirements of tests on the machine, and the variable that leaves such tests out.

use std::path::Path;

/// The variable with the names of [`Requirement`]s, separated by commas: tests that need one of
/// these requirements are left out if that requirement is not met.
const LEAVE_OUT: &str = "PPIO_TEST_LEAVE_OUT";

/// A requirement that not every machine meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The tests run as root.
    Root,
    /// A control group (version 2) in which the user can create others.
    Cgroup,
    /// The fetched packages are in a folder that every user can read.
    SharedPackages,
}

impl Requirement {
    /// Returns `is_met`. A requirement that is not met fails the test, unless `PPIO_TEST_LEAVE_OUT`
    /// names it.
    ///
    /// # Panics
    ///
    /// If the requirement is not met and the variable does not name it.
    pub fn check(self, is_met: bool) -> bool {
        let (name, what) = match self {
            Self::Root => ("root", "root as the user of the tests"),
            Self::Cgroup => (
                "cgroup",
                "a control group (version 2) in which this user can create others",
            ),
            Self::SharedPackages => (
                "shared-packages",
                "a checkout and a Python interpreter that every user can read",
            ),
        };
        let left_out = std::env::var(LEAVE_OUT).unwrap_or_default();
        assert!(
            is_met || left_out.split(',').any(|other| other == name),
            "the test needs {what}; to skip such tests, set {LEAVE_OUT}={name}"
        );
        is_met
    }

    /// Calls [`Requirement::check`] for [`Requirement::Root`].
    ///
    /// # Panics
    ///
    /// As [`Requirement::check`].
    pub fn root() -> bool {
        Self::Root.check(rustix::process::geteuid().is_root())
    }
}

/// Whether an unprivileged user can pass through all directories of a path, with links resolved,
/// and execute or enter the last component.
///
/// # Panics
///
/// If the path does not exist.
pub fn every_user_passes(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    let real = path.canonicalize().expect("the path exists");
    real.ancestors().all(|place| {
        place
            .metadata()
            .is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    })
}
