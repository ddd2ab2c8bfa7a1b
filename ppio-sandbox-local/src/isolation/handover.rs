//! Passes the variables and the directory that a caller chose into a sandbox.
//!
//! The programs that enter a sandbox run with the platform's rights and must not read a variable of
//! the caller. So the caller's variables are passed as values of variables with other names, which
//! none of these programs reads; arguments would be visible to all users of the machine. `env`, the
//! last of the programs, runs without the platform's rights and sets the real names.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::processes::{self, SystemPrograms};

/// The variable that holds the directory to start in.
const DIRECTORY: &str = "PPIO_LOCAL_DIRECTORY";
/// The prefix of the variables that each hold one `NAME=VALUE`; a number follows it.
const VARIABLE: &str = "PPIO_LOCAL_VARIABLE_";

/// The last arguments of a command, and the variables that they refer to.
pub(super) struct Handover {
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(String, OsString)>,
}

impl Handover {
    /// Returns the arguments that start `program` in `directory` with `variables` and no others.
    pub(super) fn new(
        programs: &SystemPrograms,
        directory: &Path,
        variables: &BTreeMap<String, String>,
        program: &[OsString],
    ) -> Self {
        let mut environment = vec![(DIRECTORY.to_owned(), directory.into())];
        let mut options = format!("-i --chdir=${{{DIRECTORY}}} --");
        for (index, (name, value)) in variables.iter().enumerate() {
            let passed = format!("{VARIABLE}{index}");
            options.push_str(" ${");
            options.push_str(&passed);
            options.push('}');
            environment.push((passed, format!("{name}={value}").into()));
        }
        let mut arguments = Vec::new();
        processes::push_program(&mut arguments, &programs.env, ["-S", &options]);
        let is_taken_for_a_variable =
            |program: &OsString| program.as_encoded_bytes().contains(&b'=');
        if program.first().is_some_and(is_taken_for_a_variable) {
            processes::push_program(&mut arguments, &programs.setpriv, ["--no-new-privs", "--"]);
        }
        arguments.extend(program.iter().cloned());
        Self {
            arguments,
            environment,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn variables_and_directory_arrive_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a $(x) 'b' \"c\" \\d");
        std::fs::create_dir(&place).unwrap();
        let script = place.join("pro=gram");
        std::fs::write(&script, "#!/bin/sh\npwd\ntr '\\0' '|' < /proc/$$/environ\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        processes::wait_for_starts();
        let variables: BTreeMap<String, String> = [
            ("-dash", "1"),
            ("a.b c", "  x\ty\n#z ${HOME} \\c\\_ 'q' \"r\""),
            ("empty", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let programs = SystemPrograms::find().unwrap();
        let program = [script.into_os_string()];
        let handover = Handover::new(&programs, &place, &variables, &program);
        let output = Command::new(&handover.arguments[0])
            .args(&handover.arguments[1..])
            .env_clear()
            .envs(handover.environment)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let expected = format!(
            "{}\n-dash=1|a.b c=  x\ty\n#z ${{HOME}} \\c\\_ 'q' \"r\"|empty=|",
            place.display()
        );
        // A shell adds variables of its own.
        assert!(text.starts_with(&expected), "{text}");
        assert!(!text.contains("PPIO_LOCAL"), "{text}");
    }
}
