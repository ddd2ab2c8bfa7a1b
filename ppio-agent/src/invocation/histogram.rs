//! The distribution of durations, from a millisecond to an hour.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The number of buckets of a histogram. The last bucket has no upper bound.
pub(crate) const BUCKETS: usize = BOUNDS.len() + 1;

/// The upper bounds of the buckets, in seconds and in microseconds.
#[rustfmt::skip]
const BOUNDS: [(f64, u64); 20] = [
    (0.001, 1_000), (0.0025, 2_500), (0.005, 5_000),
    (0.01, 10_000), (0.025, 25_000), (0.05, 50_000),
    (0.1, 100_000), (0.25, 250_000), (0.5, 500_000),
    (1.0, 1_000_000), (2.5, 2_500_000), (5.0, 5_000_000),
    (10.0, 10_000_000), (30.0, 30_000_000), (60.0, 60_000_000),
    (120.0, 120_000_000), (300.0, 300_000_000), (600.0, 600_000_000),
    (1800.0, 1_800_000_000), (3600.0, 3_600_000_000),
];

/// The number of durations in each bucket, and the sum of all durations.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts a duration, and returns its bucket.
    pub(super) fn observe(&self, duration: Duration) -> usize {
        let micros =
            duration.as_secs().saturating_mul(1_000_000) + u64::from(duration.subsec_micros());
        let bucket = BOUNDS.iter().position(|&(_, bound)| micros <= bound);
        let bucket = bucket.unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        bucket
    }
}

/// The sum of histograms.
#[cfg(feature = "metrics")]
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) sum: Duration,
}

#[cfg(feature = "metrics")]
impl Distribution {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.load(Ordering::Relaxed);
        }
        self.sum += Duration::from_micros(histogram.micros.load(Ordering::Relaxed));
    }

    /// Returns the upper bound of a bucket in seconds; `None` for the last bucket.
    pub(crate) fn bound(bucket: usize) -> Option<f64> {
        BOUNDS.get(bucket).map(|&(seconds, _)| seconds)
    }
}
