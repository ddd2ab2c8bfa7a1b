//! The terminal of this process in raw mode, in which keys reach a program in a sandbox unchanged.

use std::os::fd::AsFd;

use ppio_agent_client::platform::TerminalSize;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The size if the terminal reports none.
const DEFAULT_SIZE: TerminalSize = TerminalSize {
    columns: 80,
    rows: 24,
};

/// A terminal in raw mode, until the value is dropped.
#[derive(Debug)]
pub(super) struct RawTerminal<F: AsFd> {
    terminal: F,
    modes: Termios,
}

impl<F: AsFd> RawTerminal<F> {
    pub(super) fn enter(terminal: F) -> std::io::Result<Self> {
        let modes = tcgetattr(&terminal)?;
        let raw = Self { terminal, modes };
        raw.enter_again()?;
        Ok(raw)
    }

    /// Sets raw mode again after a shell has reset it while this process was stopped.
    pub(super) fn enter_again(&self) -> std::io::Result<()> {
        let mut raw = self.modes.clone();
        raw.make_raw();
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &raw)?)
    }
}

impl<F: AsFd> Drop for RawTerminal<F> {
    fn drop(&mut self) {
        // Fails when the terminal is gone. Does not wait for output, which may be stopped.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}

/// Returns the size of a terminal, or [`DEFAULT_SIZE`] if `terminal` reports none.
pub(super) fn size(terminal: impl AsFd) -> TerminalSize {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => TerminalSize {
            columns: size.ws_col,
            rows: size.ws_row,
        },
        _ => DEFAULT_SIZE,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcsetwinsize};

    use super::*;

    #[test]
    fn a_panic_restores_the_terminal() {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).expect("granted");
        unlockpt(&controller).expect("unlocked");
        let name = ptsname(&controller, Vec::new()).expect("a name");
        let device = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("UTF-8"))
            .expect("the device");
        let is_raw = || {
            let modes = tcgetattr(&device).expect("modes").local_modes;
            !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
        };
        assert!(!is_raw());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _raw = RawTerminal::enter(&device).expect("raw");
            assert!(is_raw());
            panic!("inside");
        }));
        assert!(panicked.is_err());
        assert!(!is_raw());

        assert_eq!(size(&device), DEFAULT_SIZE);
        let window = Winsize {
            ws_col: 132,
            ws_row: 43,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, window).expect("resized");
        let expected = TerminalSize {
            columns: 132,
            rows: 43,
        };
        assert_eq!(size(&device), expected);
    }
}
