//! The thresholds that a benchmark has to meet.

use super::Plan;
use super::samples::median;
use crate::error::Error;

/// A threshold for the median of measured values.
pub(super) struct Threshold {
    name: &'static str,
    /// One value per round, start or session.
    values: Vec<f64>,
    bound: f64,
    sign: char,
    met: bool,
}

impl Threshold {
    pub(super) fn at_least(name: &'static str, values: &[f64], bound: f64) -> Self {
        Self {
            name,
            met: median(values) >= bound,
            values: values.to_vec(),
            bound,
            sign: '≥',
        }
    }

    pub(super) fn at_most(name: &'static str, values: &[f64], bound: f64) -> Self {
        Self {
            name,
            met: median(values) <= bound,
            values: values.to_vec(),
            bound,
            sign: '≤',
        }
    }
}

pub(super) fn check(plan: &Plan, thresholds: &[Threshold]) -> Result<(), Error> {
    println!("\nthresholds");
    for threshold in thresholds {
        let lowest = threshold.values.iter().copied().fold(f64::NAN, f64::min);
        let highest = threshold.values.iter().copied().fold(f64::NAN, f64::max);
        println!(
            "  {}  {:<44}{:>9.2}  {} {:<5}({lowest:.2} to {highest:.2})",
            if threshold.met { "pass" } else { "FAIL" },
            threshold.name,
            median(&threshold.values),
            threshold.sign,
            threshold.bound,
        );
    }
    let missed = thresholds.iter().filter(|threshold| !threshold.met).count();
    if missed > 0 && plan.enforces_thresholds {
        return Err(format!(
            "{missed} of {} thresholds missed",
            thresholds.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::samples::Samples;

    #[test]
    fn a_threshold_without_values_is_missed() {
        let samples = Samples::default();
        assert!(!Threshold::at_least("x", &samples.ratios("rate", "a", "b"), 0.0).met);
        assert!(!Threshold::at_most("x", samples.of("a", "rate"), 1e9).met);
    }
}
