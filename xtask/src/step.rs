//! One step of a command: runs a program, prints its duration and, if it fails, how to repeat it.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::error::Error;
use crate::workspace;

/// A program that runs in the workspace root.
pub(crate) struct Step {
    name: String,
    command: Command,
    /// What to install if the program is not found.
    install_help: Option<&'static str>,
}

impl Step {
    /// Creates a step that runs `program`.
    pub(crate) fn new(name: &str, program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(workspace::root());
        // Removes cargo's variables of this package. A build script that watches them (ring's does)
        // would run again, along with everything that depends on it, in each build where their
        // values differ.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        Self {
            name: name.to_owned(),
            command,
            install_help: None,
        }
    }

    /// Creates a step that runs cargo.
    pub(crate) fn cargo(name: &str) -> Self {
        Self::new(name, workspace::cargo())
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets what to install if the program does not exist.
    pub(crate) fn install_help(mut self, help: &'static str) -> Self {
        self.install_help = Some(help);
        self
    }

    /// Runs the program with its output shown. Fails if the program fails.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        println!("\n==> {}", self.name);
        let started = Instant::now();
        let status = match self.command.stdin(Stdio::null()).status() {
            Ok(status) => status,
            Err(error) => return Err(self.cannot_start(&error)),
        };
        let seconds = started.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!(
                "{} failed after {seconds:.1} s ({status}); repeat the step with:\n  {}",
                self.name,
                self.command_line()
            ));
        }
        println!("==> {}: ok, {seconds:.1} s", self.name);
        Ok(())
    }

    /// Runs the program and returns its standard output.
    pub(crate) fn output(mut self) -> Result<String, Error> {
        let output = match self.command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) => return Err(self.cannot_start(&error)),
        };
        if !output.status.success() {
            return Err(format!(
                "{} failed ({}): {}\nrepeat the step with:\n  {}",
                self.name,
                output.status,
                String::from_utf8_lossy(&output.stderr).trim_end(),
                self.command_line()
            ));
        }
        String::from_utf8(output.stdout)
            .map_err(|_| format!("{} printed text that is not UTF-8", self.name))
    }

    fn cannot_start(&self, error: &std::io::Error) -> Error {
        let program = self.command.get_program().to_string_lossy();
        match self.install_help {
            Some(help) if error.kind() == ErrorKind::NotFound => {
                format!("{}: `{program}` is not installed; {help}", self.name)
            }
            _ => format!("{}: cannot start `{program}`: {error}", self.name),
        }
    }

    /// Returns the command line for a shell in the workspace root.
    fn command_line(&self) -> String {
        let program = self.command.get_program();
        let program = if program == workspace::cargo().as_str() {
            OsStr::new("cargo")
        } else {
            program
        };
        let variables = self.command.get_envs().filter_map(|(key, value)| {
            Some(format!("{}={}", key.to_string_lossy(), quoted(value?)))
        });
        let words = std::iter::once(program)
            .chain(self.command.get_args())
            .map(quoted);
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Quotes a word for a shell if necessary.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_quoted_for_a_shell() {
        let step = Step::new("x", "printf")
            .args(["%s|", "a b", "it's", ""])
            .env("KEY", "two words");
        assert_eq!(
            step.command_line(),
            r"KEY='two words' printf '%s|' 'a b' 'it'\''s' ''"
        );
    }

    #[test]
    fn the_error_of_a_missing_program_contains_the_install_help() {
        let error = Step::new("missing", "no-such-program")
            .install_help("install no-such-program")
            .run()
            .unwrap_err();
        assert!(
            error.contains("`no-such-program` is not installed"),
            "{error}"
        );
        assert!(error.contains("install no-such-program"), "{error}");
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_command_line() {
        let error = Step::new("nothing", "false").run().unwrap_err();
        assert!(error.ends_with("\n  false"), "{error}");
    }
}
