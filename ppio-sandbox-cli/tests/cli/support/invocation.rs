//! A command to run, with pipes or on a pseudo-terminal.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use super::process::{Process, Reader, Running};
use super::pty_session::PtySession;
use super::{Done, eventually};

/// The size of the terminal, large enough for every output.
pub(crate) const SCREEN: rustix::termios::Winsize = rustix::termios::Winsize {
    ws_row: 200,
    ws_col: 110,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// The standard input of a command.
pub(crate) enum Stdin {
    Nothing,
    Bytes(Vec<u8>),
    /// A pipe to which nothing is written.
    Open,
}

/// A command to run.
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

    /// Sets the standard input, which is empty by default.
    pub(crate) fn input(self, text: &str) -> Self {
        self.stdin(Stdin::Bytes(text.as_bytes().to_vec()))
    }

    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Starts the command.
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self
            .command
            .stdin(match self.stdin {
                Stdin::Nothing => Stdio::null(),
                Stdin::Bytes(_) | Stdin::Open => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take();
        if let Stdin::Bytes(bytes) = self.stdin
            && let Some(mut stream) = stdin.take()
        {
            // The command may exit before it has read everything, or write before it reads.
            std::thread::spawn(move || stream.write_all(&bytes));
        }
        Running::of(child, stdin)
    }

    /// Starts the command; the caller reads its standard output.
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

    /// Runs the command to its end.
    pub(crate) fn run(self) -> Done {
        self.spawn().wait()
    }

    /// Runs the command on a pseudo-terminal and returns the output.
    pub(crate) fn output_on_pty(self) -> String {
        self.run_on_pty(|_| {}).0
    }

    /// Like [`output_on_pty`](Self::output_on_pty), and also answers a question.
    pub(crate) fn answer(self, question: &str, answer: &str) -> String {
        let session = |terminal: &mut PtySession| {
            terminal.expect_output(question);
            terminal.send_keys(answer);
        };
        self.run_on_pty(session).0
    }

    /// Runs the command on a pseudo-terminal while `acts` sends keys and reads output. Returns the
    /// output and the exit code.
    pub(crate) fn run_on_pty(
        mut self,
        acts: impl FnOnce(&mut PtySession),
    ) -> (String, Option<i32>) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let keys = keys.expect("a pseudo-terminal");
        grantpt(&keys).expect("granted");
        unlockpt(&keys).expect("unlocked");
        rustix::termios::tcsetwinsize(&keys, SCREEN).expect("a size");
        let name = ptsname(&keys, Vec::new()).expect("a name");
        // `setsid` makes the pseudo-terminal the controlling terminal, so that Ctrl-C is a signal.
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
        // Closes this process's handles of the command's side, so that the reader ends with the
        // command.
        drop(self);
        let keys = std::fs::File::from(keys);
        let screen = Reader::start(keys.try_clone().expect("a second handle"));
        let mut session = PtySession::new(keys, screen);
        acts(&mut session);
        let mut status = None;
        eventually("the command ends", || {
            status = process.status();
            status.is_some()
        });
        (session.close(), status.and_then(|status| status.code()))
    }
}
