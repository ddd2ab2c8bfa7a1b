//! A command about to run, with pipes or at a terminal of its own.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use super::person::Person;
use super::process::{Process, Reader, Running};
use super::{Done, until};

/// What fits on the terminal: everything.
pub(crate) const SCREEN: rustix::termios::Winsize = rustix::termios::Winsize {
    ws_row: 200,
    ws_col: 110,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// What a command reads.
pub(crate) enum Stdin {
    Nothing,
    Text(String),
    /// Something that does not come.
    Open,
}

/// A command about to run.
pub(crate) struct Invocation {
    command: Command,
    stdin: Stdin,
}

impl Invocation {
    pub(super) fn of(command: Command) -> Self {
        Self {
            command,
            stdin: Stdin::Nothing,
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// What it reads; nothing if not given.
    pub(crate) fn input(self, text: &str) -> Self {
        self.stdin(Stdin::Text(text.to_owned()))
    }

    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self
            .command
            .stdin(match self.stdin {
                Stdin::Nothing => Stdio::null(),
                Stdin::Text(_) | Stdin::Open => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take();
        if let (Some(stream), Stdin::Text(text)) = (&mut stdin, &self.stdin) {
            // It need not read all of it.
            let _ = stream.write_all(text.as_bytes());
            stdin = None;
        }
        Running::of(child, stdin)
    }

    /// Starts it with nobody but the caller reading what it prints.
    pub(crate) fn spawn_unread(mut self) -> (Process, ChildStdout) {
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let stdout = child.stdout.take().expect("piped");
        (Process::of(child), stdout)
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Done {
        self.spawn().wait()
    }

    /// Runs it on a terminal of its own and returns what was to be seen there.
    pub(crate) fn run_on_a_terminal(self) -> String {
        self.at_a_terminal(|_| {}).0
    }

    /// [`run_on_a_terminal`](Self::run_on_a_terminal), typing an answer once the question is there.
    pub(crate) fn answer(self, question: &str, answer: &str) -> String {
        let person = |person: &mut Person| {
            person.reads(question);
            person.types(answer);
        };
        self.at_a_terminal(person).0
    }

    /// Runs it on a terminal of its own, where somebody sits. Returns what was written to the terminal, and the exit code.
    pub(crate) fn at_a_terminal(mut self, acts: impl FnOnce(&mut Person)) -> (String, Option<i32>) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let keys = keys.expect("a pseudo-terminal");
        grantpt(&keys).expect("granted");
        unlockpt(&keys).expect("unlocked");
        rustix::termios::tcsetwinsize(&keys, SCREEN).expect("a size");
        let name = ptsname(&keys, Vec::new()).expect("a name");
        // `setsid` makes the terminal the command's own, so that Ctrl-C typed on it is a signal.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        let side = || {
            std::fs::File::options()
                .read(true)
                .write(true)
                .open(name.to_str().expect("UTF-8"))
                .expect("the terminal")
        };
        let child = self
            .command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn();
        let mut process = Process::of(child.expect("the command starts"));
        // The command's side is closed with the command, which ends the reader.
        drop(self);
        let keys = std::fs::File::from(keys);
        let screen = Reader::start(keys.try_clone().expect("a second handle"));
        let mut person = Person::at(keys, screen);
        acts(&mut person);
        let mut status = None;
        until("the command ends", || {
            status = process.status();
            status.is_some()
        });
        (person.leave(), status.and_then(|status| status.code()))
    }
}
