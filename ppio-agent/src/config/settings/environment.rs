//! Reads environment variables by the kind of their values.

use std::str::FromStr;
use std::time::Duration;

use ppio_agent_protocol::ByteSize;

/// The longest duration of a setting; a longer one is replaced by this duration. An `Instant` plus
/// this duration does not overflow.
const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Reads environment variables, and collects the errors of invalid ones.
pub(in crate::config) struct Environment<'a> {
    pub(in crate::config) lookup: &'a dyn Fn(&str) -> Option<String>,
    pub(in crate::config) faults: Vec<String>,
}

impl Environment<'_> {
    /// Returns the value of the variable if it is set, otherwise the setting in code. An invalid
    /// value adds a fault, and the setting in code is returned.
    pub(in crate::config) fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        code: Option<T>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let name = format!("PPIO_AGENT_{name}");
        let Some(text) = (self.lookup)(&name) else {
            return code;
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            self.faults
                .push(format!("{name}={text:?} is not {expected}"));
        }
        parsed.or(code)
    }

    /// Adds the fault of a value that breaks `rule`. The fault names the variable with its value, or
    /// the method in code if the variable is not set.
    fn refuse(&mut self, name: &str, rule: &str) {
        let variable = format!("PPIO_AGENT_{name}");
        let setting = match (self.lookup)(&variable) {
            Some(text) => format!("{variable}={text:?}"),
            None => format!("`RuntimeConfig::{}`", name.to_ascii_lowercase()),
        };
        self.faults.push(format!("{setting} {rule}"));
    }

    pub(super) fn boolean(&mut self, name: &str, code: Option<bool>, default: bool) -> bool {
        self.read(name, "true or false", code, |text| {
            match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" => Some(false),
                _ => None,
            }
        })
        .unwrap_or(default)
    }

    pub(super) fn duration(
        &mut self,
        name: &str,
        code: Option<Duration>,
        default: Duration,
    ) -> Duration {
        self.read(name, "a number of seconds", code, |text| {
            let seconds: f64 = text.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        })
        .unwrap_or(default)
        .min(MAX_DURATION)
    }

    /// Reads a duration; zero becomes `None`.
    pub(super) fn limit(
        &mut self,
        name: &str,
        code: Option<Duration>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        let duration = self.duration(name, code, default.unwrap_or_default());
        (!duration.is_zero()).then_some(duration)
    }

    /// Reads a duration that must not be zero.
    pub(super) fn seconds(
        &mut self,
        name: &str,
        code: Option<Duration>,
        default: Duration,
    ) -> Duration {
        let duration = self.duration(name, code, default);
        if duration.is_zero() {
            self.refuse(name, "must be more than 0 seconds");
        }
        duration
    }

    /// Reads a size that must not be zero.
    pub(super) fn size(
        &mut self,
        name: &str,
        code: Option<ByteSize>,
        default: ByteSize,
    ) -> ByteSize {
        let size = self.read(name, "a size such as 1048576 or 2Mi", code, parse);
        let size = size.unwrap_or(default);
        if size.bytes() == 0 {
            self.refuse(name, "must be at least 1 byte");
        }
        size
    }

    pub(super) fn at_least_one(
        &mut self,
        name: &str,
        code: Option<usize>,
        default: usize,
    ) -> usize {
        let number = self.read(name, "a number", code, parse).unwrap_or(default);
        if number == 0 {
            self.refuse(name, "must be at least 1");
        }
        number
    }

    pub(super) fn threads(&mut self, name: &str, code: Option<usize>) -> Option<usize> {
        let threads = self.read(name, "a number of threads", code, parse);
        if threads.is_some_and(|threads| !(1..=10_000).contains(&threads)) {
            self.refuse(name, "must be from 1 to 10000");
        }
        threads
    }
}

pub(in crate::config) fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}
