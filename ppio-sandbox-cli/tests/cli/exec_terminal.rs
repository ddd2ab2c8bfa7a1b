//! `agent exec` on a terminal.

use ppio_test_support::processes_running;
use rustix::process::Signal;
use rustix::termios::LocalModes;

use crate::support::{PtySession, Relay, eventually, on_runtime, quiet_sandbox, send};

/// The modes of a terminal in which a shell reads lines.
const LINES: LocalModes = LocalModes::ICANON
    .union(LocalModes::ECHO)
    .union(LocalModes::ISIG);

/// Waits until the terminal is in raw mode, so that keys reach the program.
fn expect_raw(terminal: &PtySession) {
    eventually("keys are passed on", || !terminal.modes().intersects(LINES));
}

#[test]
fn a_shell_has_the_terminal() {
    let (sandbox, id) = quiet_sandbox();
    let shell = sandbox.command(["agent", "exec", &id]).env("TERM", "vt220");
    let (output, code) = shell.run_on_pty(|terminal| {
        expect_raw(terminal);
        // The expected text is split in the command, so that the echo is not taken for the output.
        terminal.send_keys("echo is-$((20 + 3)); stty size; echo \"$TERM\"\r");
        terminal.expect_output("is-23\r\n200 110\r\nvt220\r\n");
        terminal.send_keys("test -t 0 && test -t 1 && test -t 2 && echo on-a-$((40 + 2))\r");
        terminal.expect_output("on-a-42");
        // A job of the shell gets the SIGINT of Ctrl-C, and the shell continues.
        terminal.send_keys("echo be''gun; sleep 86400; echo no\r");
        terminal.expect_output("begun");
        terminal.send_keys("\x03");
        terminal.send_keys("echo still-$((50 + 1))\r");
        terminal.expect_output("still-51");
        terminal.send_keys("exit 5\r");
    });
    assert_eq!(code, Some(5), "{output}");
}

#[test]
fn size_and_signals_reach_the_program() {
    let (sandbox, id) = quiet_sandbox();
    let script = "trap 'stty size' WINCH; trap 'echo interrupted; exit 9' INT; stty size; echo \
                  ready; while :; do sleep 0.02; done";
    let program = sandbox.command(["agent", "exec", &id, "--", "sh", "-c", script]);
    let (output, code) = program.run_on_pty(|terminal| {
        terminal.expect_output("200 110\r\nready");
        for (columns, rows) in [(132, 43), (20, 5)] {
            terminal.resize(columns, rows);
            terminal.expect_output(&format!("{rows} {columns}\r\n"));
        }
        terminal.send_keys("\x03");
        terminal.expect_output("interrupted\r\n");
    });
    assert_eq!(code, Some(9), "{output}");
    assert!(!output.contains("error"), "{output}");
}

/// The way in which a program on a terminal ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The program ends by itself, with this command.
    Script(&'static str),
    /// `agent exec` gets a signal.
    Signal(Signal),
    /// The connection to the platform is cut.
    Cut,
    /// The session is closed.
    Close,
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    let (sandbox, other) = quiet_sandbox();
    for (end, code, says) in [
        (End::Script("exit 3"), 3, ""),
        (End::Script("kill -KILL $$"), 137, ""),
        (End::Signal(Signal::INT), 130, "interrupted"),
        (End::Signal(Signal::TERM), 143, "interrupted"),
        (End::Signal(Signal::HUP), 143, "interrupted"),
        (End::Signal(Signal::QUIT), 143, "interrupted"),
        (End::Cut, 3, "the connection to session"),
        (End::Close, 3, "has ended, and the program with it"),
    ] {
        let id = match end {
            End::Close => sandbox.create("quiet"),
            _ => other.clone(),
        };
        let relay = Relay::to(sandbox.running().expect("a platform").url());
        let command = sandbox
            .shell(
                "\"$CLI\" agent exec \"$ID\" -- sh -c 'printf \"\\033[?1049h\"; echo ready; \
             read line; eval \"$line\"'; echo code=$?; stty -a",
            )
            .env("ID", &id)
            .env("PPIO_API_KEY", sandbox.key())
            .env("PPIO_API_URL", relay.url())
            .env("PPIO_SANDBOX_URL", relay.url());
        let (output, _) = command.run_on_pty(|terminal| {
            terminal.expect_output("ready");
            expect_raw(terminal);
            match end {
                End::Script(line) => terminal.send_keys(&format!("{line}\r")),
                End::Signal(signal) => send(command_of(&id), signal),
                End::Cut => relay.close(),
                End::Close => on_runtime(async {
                    let client = sandbox.client();
                    client.close_session(&id).await.expect("closed");
                }),
            }
            terminal.expect_output(&format!("code={code}"));
            terminal.expect_output("speed");
        });
        assert!(output.contains(says), "{end:?}: {output}");
        // The command leaves the alternate screen, unless the program ended by itself.
        let left = output.contains("\x1b[?1049l");
        assert_eq!(left, !matches!(end, End::Script(_)), "{end:?}: {output}");
        let (_, modes) = output.split_once("code=").expect("the code");
        let modes: Vec<_> = modes.split([' ', ';', '\r', '\n']).collect();
        for mode in ["icanon", "echo", "isig", "opost", "icrnl"] {
            assert!(modes.contains(&mode), "{end:?}: {mode} in {modes:?}");
        }
    }
}

/// Returns the process id of `agent exec` with this session.
fn command_of(id: &str) -> u32 {
    let found = processes_running(id);
    let [process] = *found else {
        panic!("not one command: {found:?}")
    };
    process.cast_unsigned()
}

#[test]
fn a_terminal_can_be_requested_and_declined() {
    let (sandbox, id) = quiet_sandbox();
    // The input is sent to its end, which becomes the character that ends the input of a terminal.
    let forced = [
        "agent",
        "exec",
        &id,
        "--tty",
        "--",
        "sh",
        "-c",
        "stty size; stty -echo; cat; exit 6",
    ];
    let done = sandbox.command(forced).input("typed\n").run().code(6);
    assert!(done.stdout.contains("24 80\r\n"), "{done:?}");
    assert!(done.stdout.contains("typed\r\n"), "{done:?}");

    let declined = [
        "agent",
        "exec",
        &id,
        "--no-tty",
        "--",
        "sh",
        "-c",
        "test -t 0 || echo no-terminal",
    ];
    let (output, code) = sandbox.command(declined).run_on_pty(|terminal| {
        terminal.expect_output("no-terminal\r\n");
    });
    assert_eq!(code, Some(0), "{output}");
}
