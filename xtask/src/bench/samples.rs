//! Measured values, their medians and ratios.

use std::collections::HashMap;

use crate::error::Error;

/// The measured values by server and quantity, in the order of the rounds.
#[derive(Default)]
pub(super) struct Samples(HashMap<(String, String), Vec<f64>>);

impl Samples {
    pub(super) fn add(&mut self, name: &str, what: &str, value: f64) {
        let key = (name.to_owned(), what.to_owned());
        self.0.entry(key).or_default().push(value);
    }

    /// Adds the `name=value` lines that the load program prints.
    pub(super) fn add_report(&mut self, name: &str, report: &str) -> Result<(), Error> {
        for line in report.lines() {
            let (what, value) = number(line)?;
            self.add(name, what, value);
        }
        Ok(())
    }

    /// Returns the last value; NaN if there is none.
    pub(super) fn last(&self, name: &str, what: &str) -> f64 {
        self.of(name, what).last().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn of(&self, name: &str, what: &str) -> &[f64] {
        self.0
            .get(&(name.to_owned(), what.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn median(&self, name: &str, what: &str) -> f64 {
        median(self.of(name, what))
    }

    /// Returns the ratio within each round.
    pub(super) fn ratios(&self, what: &str, numerator: &str, denominator: &str) -> Vec<f64> {
        let below = self.of(denominator, what);
        let pairs = self.of(numerator, what).iter().zip(below);
        pairs.map(|(above, below)| above / below).collect()
    }
}

/// Returns the median; NaN without values, which meets no threshold.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Parses a `name=value` line of a measuring program.
pub(super) fn number(line: &str) -> Result<(&str, f64), Error> {
    line.split_once('=')
        .and_then(|(name, value)| Some((name, value.parse().ok()?)))
        .ok_or_else(|| format!("the measuring program printed `{line}` instead of `name=value`"))
}

pub(super) fn table(title: &str, names: &[&str], samples: &Samples, columns: &[(&str, &str)]) {
    println!("\n{title}");
    let heads = columns.iter().map(|(head, _)| format!("{head:>20}"));
    println!("  {:<20}{}", "", heads.collect::<String>());
    for name in names {
        let cells = columns
            .iter()
            .map(|(_, what)| format!("{:>20.1}", samples.median(name, what)));
        println!("  {name:<20}{}", cells.collect::<String>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_computed_within_each_round() {
        let mut samples = Samples::default();
        // The machine slows down fourfold, but the ratio stays constant.
        for slowness in [1.0, 2.0, 4.0] {
            samples
                .add_report("a", &format!("rate={}\np50_us=3", 300.0 / slowness))
                .unwrap();
            samples
                .add_report("b", &format!("rate={}\np50_us=5", 200.0 / slowness))
                .unwrap();
        }
        assert_eq!(samples.ratios("rate", "a", "b"), [1.5, 1.5, 1.5]);
        assert_eq!(samples.median("a", "rate").to_string(), "150");
    }
}
