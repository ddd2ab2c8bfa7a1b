//! The screen modes that a program sets on a terminal. They stay set if the program cannot reset
//! them.

use std::collections::BTreeMap;

/// The modes that are on by default: lines wrap, and the cursor is visible.
const ON_BY_DEFAULT: [u16; 2] = [7, 25];

/// Reads the private modes (`ESC [ ? … h` and `l`) in the output of a program: the alternate
/// screen, mouse reports, bracketed paste, a hidden cursor.
#[derive(Debug, Default)]
pub(super) struct ScreenModes {
    state: Sequence,
    /// The modes that differ from the default, and whether they are on.
    changed: BTreeMap<u16, bool>,
}

/// The part of a control sequence that was read so far.
#[derive(Debug, Default)]
enum Sequence {
    #[default]
    None,
    Escape,
    Bracket,
    /// The numbers after `ESC [ ?`.
    Private(Vec<u16>),
}

impl ScreenModes {
    /// Reads output, which may end within a sequence.
    pub(super) fn read(&mut self, output: &[u8]) {
        for byte in output {
            self.state = match (std::mem::take(&mut self.state), byte) {
                (_, 0x1b) => Sequence::Escape,
                (Sequence::Escape, b'[') => Sequence::Bracket,
                (Sequence::Bracket, b'?') => Sequence::Private(vec![0]),
                (Sequence::Private(mut numbers), b'0'..=b'9') => {
                    if let Some(number) = numbers.last_mut() {
                        let digit = u16::from(byte - b'0');
                        *number = number.saturating_mul(10).saturating_add(digit);
                    }
                    Sequence::Private(numbers)
                }
                (Sequence::Private(mut numbers), b';') => {
                    // No known sequence has more numbers.
                    if numbers.len() < 32 {
                        numbers.push(0);
                    }
                    Sequence::Private(numbers)
                }
                (Sequence::Private(numbers), b'h' | b'l') => {
                    for number in numbers {
                        self.set(number, *byte == b'h');
                    }
                    Sequence::None
                }
                _ => Sequence::None,
            };
        }
    }

    fn set(&mut self, mode: u16, is_on: bool) {
        if ON_BY_DEFAULT.contains(&mode) == is_on {
            self.changed.remove(&mode);
        } else {
            self.changed.insert(mode, is_on);
        }
    }

    /// Returns the sequences that reset the modes and the colours; empty if no mode was changed.
    pub(super) fn reset(&mut self) -> String {
        let changed = std::mem::take(&mut self.changed);
        let mut sequences: Vec<_> = changed
            .into_iter()
            .map(|(mode, is_on)| format!("\x1b[?{mode}{}", if is_on { 'l' } else { 'h' }))
            .collect();
        if !sequences.is_empty() {
            sequences.push("\x1b[0m".to_owned());
        }
        sequences.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_stay_are_reset() {
        for (output, reset) in [
            ("plain \x1b[31mred\x1b[0m", ""),
            ("\x1b[?1049h", "\x1b[?1049l\x1b[0m"),
            ("\x1b[?1049h\x1b[?1049l", ""),
            ("\x1b[?25l", "\x1b[?25h\x1b[0m"),
            ("\x1b[?25l\x1b[?25h\x1b[?7h", ""),
            (
                "\x1b[?1000;1006hx\x1b[?2004h",
                "\x1b[?1000l\x1b[?1006l\x1b[?2004l\x1b[0m",
            ),
            (
                "\x1b[?99999999h\x1b[?h\x1b[?1$p",
                "\x1b[?0l\x1b[?65535l\x1b[0m",
            ),
            ("[?1049h", ""),
        ] {
            for size in [1, 2, 100] {
                let mut modes = ScreenModes::default();
                for piece in output.as_bytes().chunks(size) {
                    modes.read(piece);
                }
                assert_eq!(modes.reset(), reset, "{output:?}");
                assert_eq!(modes.reset(), "", "{output:?}");
            }
        }
    }
}
