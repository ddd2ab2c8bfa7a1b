//! The exit code of a program in a sandbox, and the kind of error if the program was not started.

use ppio_agent_client::Error;
use ppio_agent_client::platform::ExitStatus;

use crate::error::ExitKind;

/// The names of the signals from 1 to 15, as in Go's process statuses: the daemons of other
/// platforms are written in Go.
const SIGNALS: [&str; 15] = [
    "hangup",
    "interrupt",
    "quit",
    "illegal instruction",
    "trace/breakpoint trap",
    "aborted",
    "bus error",
    "floating point exception",
    "killed",
    "user defined signal 1",
    "segmentation fault",
    "user defined signal 2",
    "broken pipe",
    "alarm clock",
    "terminated",
];
/// The exit code of a program that was ended by a signal whose name is not known.
const UNKNOWN_SIGNAL: u8 = 255;

/// Returns the exit code of a program: its own, 128 plus the number of the signal that ended the
/// program, or [`UNKNOWN_SIGNAL`].
pub(super) fn exit_code(status: &ExitStatus) -> u8 {
    let Some(signal) = status.status.strip_prefix("signal: ") else {
        // Only the lowest byte is used, as in the kernel.
        return status.exit_code.to_le_bytes()[0];
    };
    let name = signal.split(" (").next().unwrap_or_default();
    let named = || (1..).zip(SIGNALS).find(|(_, known)| *known == name);
    // Go has no names for some signals, and writes `signal 31`.
    let number = name.strip_prefix("signal ").unwrap_or(name).parse().ok();
    let number: Option<u8> = number.or_else(|| named().map(|found| found.0));
    number.map_or(UNKNOWN_SIGNAL, |number| number.saturating_add(128))
}

/// Returns the kind of error of a failed start if the program is the cause. A daemon that starts
/// programs through another program reports such a failure by the exit code instead.
pub(super) fn start_failure(error: &Error) -> Option<ExitKind> {
    let Error::Runtime {
        status: Some(400 | 403 | 404 | 500),
        message,
        ..
    } = error.root()
    else {
        return None;
    };
    // Errors of the working directory are not errors of the program.
    let is_of_exec = message.contains("exec") && !message.contains("cwd");
    let contains = |text: &str| is_of_exec && message.to_ascii_lowercase().contains(text);
    if contains("no such file") || contains("not found in $path") {
        Some(ExitKind::ProgramNotFound)
    } else if contains("permission denied") || contains("exec format error") {
        Some(ExitKind::ProgramNotExecutable)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_an_exit_code_of_a_shell() {
        for (code, text, expected) in [
            (0, "exit status 0", 0),
            (3, "exit status 3", 3),
            (3, "", 3),
            (-1, "signal: 9", 137),
            (-1, "signal: killed", 137),
            (-1, "signal: terminated", 143),
            (-1, "signal: segmentation fault (core dumped)", 139),
            (-1, "signal: 64", 192),
            (-1, "signal: signal 31", 159),
            (-1, "signal: signal 31 (core dumped)", 159),
            (-1, "signal: unheard of", 255),
            (-1, "", 255),
        ] {
            let mut status = ExitStatus::default();
            status.exit_code = code;
            text.clone_into(&mut status.status);
            assert_eq!(exit_code(&status), expected, "{code} {text}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_started_has_the_code_of_a_shell() {
        for (message, kind) in [
            (
                "fork/exec /x: no such file or directory (invalid_argument)",
                Some(ExitKind::ProgramNotFound),
            ),
            (
                "exec: \"x\": executable file not found in $PATH (invalid_argument)",
                Some(ExitKind::ProgramNotFound),
            ),
            (
                "fork/exec /x: permission denied (invalid_argument)",
                Some(ExitKind::ProgramNotExecutable),
            ),
            (
                "fork/exec /x: exec format error (unknown)",
                Some(ExitKind::ProgramNotExecutable),
            ),
            (
                "cwd '/exec' does not exist: no such file or directory",
                None,
            ),
            ("1024 processes run already (resource_exhausted)", None),
        ] {
            let error = Error::Runtime {
                operation: "start".to_owned(),
                status: Some(400),
                message: message.to_owned(),
            };
            assert_eq!(start_failure(&error), kind, "{message}");
        }
    }
}
