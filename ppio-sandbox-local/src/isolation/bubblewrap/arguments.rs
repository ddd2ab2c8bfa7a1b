//! The arguments of a program.

use std::ffi::{OsStr, OsString};
use std::path::Path;

#[derive(Default)]
pub(super) struct ProgramArguments(pub(super) Vec<OsString>);

impl ProgramArguments {
    pub(super) fn add<S: AsRef<OsStr>>(&mut self, arguments: &[S]) {
        self.0.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
    }

    /// Adds the option `how` of `bwrap`, which mounts `from` at `to`.
    pub(super) fn mount(&mut self, how: &str, from: &Path, to: &Path) {
        self.add(&[how.as_ref(), from.as_os_str(), to.as_os_str()]);
    }
}
