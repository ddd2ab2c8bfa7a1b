//! Parses the output of `/metrics`.

/// Returns the samples of the runtime's metrics: the name without its prefix, the labels as they
/// are written, and the value.
///
/// # Panics
///
/// If a line is not a sample.
pub fn samples(page: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            // An exemplar follows the value.
            let sample = line.split(" # ").next().unwrap_or(line);
            let (name, value) = sample.rsplit_once(' ').expect("a value");
            let value = value.parse().expect("a number");
            let name = name.strip_prefix("ppio_agent_").expect("the prefix");
            match name.split_once('{') {
                Some((name, labels)) => (name, labels.trim_end_matches('}'), value),
                None => (name, "", value),
            }
        })
}

/// Returns the sum of the samples that have this name and at least these labels: `runs_kept` or
/// `invocations_total{outcome="success"}`.
///
/// # Panics
///
/// If there is no such sample, or the sum is not a whole number.
pub fn metric(page: &str, name: &str) -> u64 {
    let (name, labels) = name.split_once('{').unwrap_or((name, ""));
    let labels = labels.trim_end_matches('}').split(',');
    let labels: Vec<_> = labels.filter(|label| !label.is_empty()).collect();
    let mut found = samples(page)
        .filter(|(other, has, _)| {
            *other == name
                && labels
                    .iter()
                    .all(|label| has.split(',').any(|it| it == *label))
        })
        .map(|(_, _, value)| value)
        .peekable();
    assert!(found.peek().is_some(), "no {name} {labels:?} in\n{page}");
    let sum: f64 = found.sum();
    format!("{sum}").parse().expect("a whole number")
}
