//! The resource limits of a sandbox.

/// The resource limits of a sandbox. Zero means no limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SandboxLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_count: u32,
}

/// The maximum number of threads and processes of one sandbox, so that the sandbox cannot exhaust
/// those of the machine.
pub(super) const MAX_TASKS: u32 = 4096;

/// Whether `limits`, the `/proc/self/limits` of a process in a sandbox, has the limit of processes
/// that was set.
pub(super) fn bounds_processes(limits: &str) -> bool {
    limits.lines().any(|line| {
        line.strip_prefix("Max processes").is_some_and(|rest| {
            let mut fields = rest.split_ascii_whitespace();
            let hard = fields.nth(1).and_then(|hard| hard.parse().ok());
            hard.is_some_and(|hard: u32| hard <= MAX_TASKS)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_processes_is_read() {
        for (line, expected) in [
            (
                "Max processes             4096                 4096                 processes ",
                true,
            ),
            (
                "Max processes             4096                 96365                processes ",
                false,
            ),
            (
                "Max processes             unlimited            unlimited            processes ",
                false,
            ),
            (
                "Max open files            12                   12                   files     ",
                false,
            ),
        ] {
            assert_eq!(bounds_processes(line), expected, "{line}");
        }
    }
}
