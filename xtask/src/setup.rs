//! The system programs that the checks need in addition to Rust. The missing ones are installed
//! with `apt-get`, as root or in continuous integration. Otherwise the error contains the command
//! that installs them or, without `apt-get`, the list of the packages.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::interop;
use crate::step::Step;
use crate::workspace;

/// A program that the checks run, and the Debian package that contains it.
struct Requirement {
    package: &'static str,
    is_met: fn() -> bool,
}

const REQUIREMENTS: [Requirement; 9] = [
    Requirement {
        package: "python3",
        is_met: || is_installed("python3"),
    },
    // Debian ships Python without the module that creates virtual environments.
    Requirement {
        package: "python3-venv",
        is_met: || succeeds("python3", &["-c", "import ensurepip, venv"]),
    },
    Requirement {
        package: "nodejs",
        is_met: || is_installed("node"),
    },
    // Some Node.js packages contain npm, so npm is installed only if it is missing.
    Requirement {
        package: "npm",
        is_met: || is_installed("npm"),
    },
    // Isolates the sandboxes of the local platform.
    Requirement {
        package: "bubblewrap",
        is_met: || is_installed("bwrap"),
    },
    // Opens the playground.
    Requirement {
        package: "chromium",
        is_met: || interop::browser().is_ok(),
    },
    // The proxies that run in front of an agent.
    Requirement {
        package: "haproxy",
        is_met: || is_installed("haproxy"),
    },
    Requirement {
        package: "nginx",
        is_met: || is_installed("nginx"),
    },
    // The tests check the output of `/metrics` with its `promtool`; no server is started.
    Requirement {
        package: "prometheus",
        is_met: || is_installed("promtool"),
    },
];

/// How to install missing packages.
#[derive(Debug, PartialEq, Eq)]
enum Installation {
    /// Run these commands.
    Run(Vec<Vec<String>>),
    /// The user installs the packages; the text explains how.
    ByHand(String),
}

/// Installs the missing packages.
///
/// # Errors
/// If a package is missing and cannot be installed here; the text contains the command to run or,
/// without `apt-get`, the packages. If an installation fails, or a requirement is not met after it.
pub(crate) fn run() -> Result<(), Error> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let rights = Rights::of_this_process();
    match installation(&packages, rights, is_installed("apt-get")) {
        Installation::Run(commands) => {
            for command in commands {
                Step::new("set-up", &command[0])
                    .args(&command[1..])
                    .env("DEBIAN_FRONTEND", "noninteractive")
                    .run()?;
            }
        }
        Installation::ByHand(text) => return Err(text),
    }
    match missing().as_slice() {
        [] => Ok(()),
        packages => Err(format!(
            "the checks still lack {} after apt-get has installed {}; install what they need by \
             hand",
            packages.join(", "),
            if packages.len() == 1 { "it" } else { "them" }
        )),
    }
}

/// Returns the packages of the requirements that are not met.
fn missing() -> Vec<&'static str> {
    let unmet = REQUIREMENTS
        .iter()
        .filter(|requirement| !(requirement.is_met)());
    unmet.map(|requirement| requirement.package).collect()
}

/// Whether this process may install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    /// Continuous integration, whose machines are set up without confirmation.
    Sudo,
    None,
}

impl Rights {
    fn of_this_process() -> Self {
        // The owner of `/proc/self` is the effective user.
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        if is_root {
            Self::Root
        } else if is_ci() && is_installed("sudo") {
            Self::Sudo
        } else {
            Self::None
        }
    }
}

/// Whether this process runs in continuous integration.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

fn installation(packages: &[&str], rights: Rights, has_apt: bool) -> Installation {
    let names = packages.join(" ");
    if !has_apt {
        return Installation::ByHand(format!(
            "the checks need programs that are not installed; install your system's equivalents of \
             these Debian packages, or run with --no-interop:\n  {names}"
        ));
    }
    let install = ["apt-get", "install", "--yes", "--no-install-recommends"];
    let commands = [vec!["apt-get", "update"], [&install, packages].concat()];
    let prefix: &[&str] = match rights {
        Rights::Root => &[],
        Rights::Sudo => &["sudo", "-n"],
        Rights::None => {
            return Installation::ByHand(format!(
                "the checks need programs that are not installed; run this, or run with \
                 --no-interop:\n  sudo apt-get update && sudo {} {names}",
                install.join(" ")
            ));
        }
    };
    let words = |command: Vec<&str>| {
        let words = prefix.iter().copied().chain(command);
        words.map(str::to_owned).collect()
    };
    Installation::Run(commands.into_iter().map(words).collect())
}

fn is_installed(program: &str) -> bool {
    workspace::program(program).is_some()
}

/// Whether a program exits successfully.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_only_with_sufficient_rights() {
        let packages = ["bubblewrap", "nginx"];
        let run = |rights| match installation(&packages, rights, true) {
            Installation::Run(commands) => commands
                .iter()
                .map(|words| words.join(" "))
                .collect::<Vec<_>>()
                .join("; "),
            Installation::ByHand(text) => text,
        };
        let install = "apt-get install --yes --no-install-recommends bubblewrap nginx";
        assert_eq!(run(Rights::Root), format!("apt-get update; {install}"));
        assert_eq!(
            run(Rights::Sudo),
            format!("sudo -n apt-get update; sudo -n {install}")
        );
        let line = format!("\n  sudo apt-get update && sudo {install}");
        assert!(run(Rights::None).ends_with(&line), "{}", run(Rights::None));
        for rights in [Rights::Root, Rights::None] {
            let by_hand = installation(&packages, rights, false);
            let Installation::ByHand(text) = by_hand else {
                panic!("{by_hand:?} without apt-get");
            };
            assert!(text.ends_with("\n  bubblewrap nginx"), "{text}");
        }
    }
}
