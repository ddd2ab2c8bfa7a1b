//! Samples of the processor time, memory and disk that a sandbox uses.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::files::disk_usage;
use crate::processes::ProcessStat;

/// The maximum number of samples that are kept: an hour of samples, one every five seconds. Each
/// call for the metrics adds one more sample.
const MAX_SAMPLES: usize = 720;

#[derive(Debug, Clone, Copy)]
pub(crate) struct MetricSample {
    pub(crate) time: SystemTime,
    /// The processor time that was used since the last sample, in percent of one processor: four
    /// busy processors are 400. The time of processes that have ended is missing.
    pub(crate) cpu_used_percent: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk_bytes: u64,
}

#[derive(Debug, Default)]
pub(crate) struct MetricHistory {
    state: Mutex<RecordedSamples>,
}

#[derive(Debug, Default)]
struct RecordedSamples {
    last: Option<(Instant, u64)>,
    samples: VecDeque<MetricSample>,
}

impl MetricHistory {
    /// Adds a sample of the given processes. Blocks on file system calls.
    pub(crate) fn sample(&self, pids: &[i32], root: &Path) {
        let page = rustix::param::page_size() as u64;
        let (mut ticks, mut memory) = (0, 0);
        for pid in pids {
            ticks += ProcessStat::read(*pid).map_or(0, |stat| stat.cpu_ticks);
            memory += resident_pages(*pid).unwrap_or(0) * page;
        }
        let disk_bytes = disk_usage(root);
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let cpu_used_percent = match state.last {
            Some((then, before)) if now > then => {
                let spent = ticks_to_time(ticks.saturating_sub(before));
                spent.as_secs_f64() / (now - then).as_secs_f64() * 100.0
            }
            _ => 0.0,
        };
        state.last = Some((now, ticks));
        if state.samples.len() == MAX_SAMPLES {
            state.samples.pop_front();
        }
        let time = SystemTime::now();
        state.samples.push_back(MetricSample {
            time,
            cpu_used_percent,
            memory_bytes: memory,
            disk_bytes,
        });
    }

    pub(crate) fn between(&self, start: SystemTime, end: SystemTime) -> Vec<MetricSample> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .samples
            .iter()
            .filter(|sample| sample.time >= start && sample.time <= end)
            .copied()
            .collect()
    }
}

/// Converts the kernel's clock ticks, usually 100 per second, to a duration.
fn ticks_to_time(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second))
}

fn resident_pages(pid: i32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    statm.split_ascii_whitespace().nth(1)?.parse().ok()
}
