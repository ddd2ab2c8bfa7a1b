//! Pairs the branches of two schemas that have the same JSON type.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::branch::Branch;
use super::change::{Change, Place, list};
use super::schemas::{Comparison, Direction, Pair};

/// The findings of a comparison that found more than notes.
#[derive(Debug)]
struct Found {
    changes: Vec<Change>,
    seen: HashMap<Pair, bool>,
    blocking: usize,
}

impl Comparison<'_> {
    /// Compares strings, numbers and other scalars.
    pub(super) fn scalars(
        &mut self,
        subset: &[&Branch],
        superset: &[&Branch],
        direction: Direction,
        place: &Place,
    ) {
        let listed = superset.iter().filter_map(|branch| branch.values());
        let listed: Vec<_> = listed.flatten().collect();
        let accepted: HashSet<_> = listed.iter().copied().collect();
        let written = subset.iter().filter_map(|branch| branch.values());
        let written: HashSet<_> = written.flatten().collect();
        let open = superset.iter().filter(|branch| branch.values().is_none());
        let open: Vec<&Branch> = open.copied().collect();
        for branch in subset {
            if let Some(values) = branch.values() {
                let missing = values.iter().filter(|value| !accepted.contains(value));
                let missing: Vec<_> = missing.collect();
                if missing.is_empty() || open.iter().any(|branch| branch.is_plain()) {
                    continue;
                }
                let gone = listed.iter().filter(|value| !written.contains(*value));
                let gone = list(gone.copied());
                let missing = list(missing);
                match direction {
                    _ if !open.is_empty() => self.not_compared(place, "the list of values"),
                    Direction::Request => {
                        self.breaking(place, format!("{missing} is no longer accepted"));
                    }
                    Direction::Response if gone.is_empty() => {
                        self.note(place, format!("new value {missing}"));
                    }
                    Direction::Response => self.breaking(place, format!("{gone} → {missing}")),
                }
            } else if open.is_empty() {
                let (any, listed) = (format!("any {}", branch.kind.name()), list(listed.clone()));
                let (old, new) = direction.ordered(any, format!("only {listed}"));
                self.breaking(place, format!("{old} → {new}"));
            } else {
                let only = match &*open {
                    [only] => Some(*only),
                    _ => None,
                };
                let fits = self.first_that_fits(branch, &open, only, direction, place);
                if fits.is_none() {
                    self.not_compared(place, "the list of alternatives");
                }
            }
        }
    }

    /// Compares arrays or objects.
    pub(super) fn structures(
        &mut self,
        subset: &[&Branch],
        superset: &[&Branch],
        direction: Direction,
        place: &Place,
    ) {
        let (mut unmatched, mut matched) = (Vec::new(), Vec::new());
        let tags: Vec<_> = superset.iter().map(|other| tags(other)).collect();
        for &branch in subset {
            let counterpart = match (subset, superset) {
                ([_], [only]) => Some(*only),
                _ => counterpart(branch, superset, &tags),
            };
            match self.first_that_fits(branch, superset, counterpart, direction, place) {
                Some(other) => matched.push(other),
                None => unmatched.push(branch),
            }
        }
        if unmatched.is_empty() {
            return;
        }
        let rest = superset.iter().copied();
        let rest: Vec<_> = rest
            .filter(|other| !matched.iter().any(|it| std::ptr::eq(*it, *other)))
            .collect();
        let change = match (names(&unmatched), names(&rest)) {
            (Some(names), _) if rest.is_empty() => Some((names, String::new())),
            (None, _) if rest.is_empty() => Some(("without a name".to_owned(), String::new())),
            // An alternative without a name may correspond to another one.
            (Some(unmatched), Some(rest)) => Some((unmatched, rest)),
            _ => None,
        };
        match (change, direction) {
            (None, _) => self.not_compared(place, "the list of alternatives"),
            (Some((gone, _)), Direction::Request) => {
                self.breaking(place, format!("alternative {gone} is no longer accepted"));
            }
            (Some((new, gone)), Direction::Response) if gone.is_empty() => {
                self.note(place, format!("new alternative {new}"));
            }
            (Some((new, gone)), Direction::Response) => {
                self.breaking(place, format!("alternative {gone} → {new}"));
            }
        }
    }

    /// Compares `branch` with the first branch of `superset` that fits, otherwise with
    /// `counterpart`. Returns the branch that `branch` was compared with. If there is neither,
    /// reports nothing and returns `None`.
    fn first_that_fits<'b>(
        &mut self,
        branch: &Branch,
        superset: &[&'b Branch],
        counterpart: Option<&'b Branch>,
        direction: Direction,
        place: &Place,
    ) -> Option<&'b Branch> {
        let is_same = |other: &&Branch| {
            let (old, new) = direction.ordered(branch, *other);
            self.sameness().of_branches(old, new)
        };
        if let Some(same) = superset.iter().find(|other| is_same(other)) {
            return Some(same);
        }
        let mut candidates: Vec<_> = counterpart.into_iter().collect();
        candidates.extend(superset.iter().filter(|other| {
            let is_counterpart = |it: &Branch| std::ptr::eq(it, **other);
            !counterpart.is_some_and(is_counterpart)
        }));
        let mut found = None;
        for other in candidates {
            if self.budget.is_spent() {
                break;
            }
            let compare = |comparison: &mut Self| comparison.pair(branch, other, direction, place);
            match self.attempt(compare) {
                Ok(()) => return Some(other),
                // The first candidate is the counterpart.
                Err(changes) => found = found.or(Some(changes)),
            }
        }
        let (Some(counterpart), Some(found)) = (counterpart, found) else {
            return None;
        };
        self.changes.extend(found.changes);
        self.seen = found.seen;
        self.blocking += found.blocking;
        Some(counterpart)
    }

    /// Runs a comparison, and keeps its findings if they are only notes; otherwise returns them.
    fn attempt(&mut self, compare: impl FnOnce(&mut Self)) -> Result<(), Found> {
        let (blocking, count, seen) = (self.blocking, self.changes.len(), self.seen.clone());
        // If too little of the budget is left, the caller makes no further attempt.
        let _ = self.budget.take(1 + seen.len());
        compare(self);
        if self.blocking == blocking {
            return Ok(());
        }
        let found = Found {
            changes: self.changes.split_off(count),
            seen: std::mem::replace(&mut self.seen, seen),
            blocking: self.blocking - blocking,
        };
        self.blocking = blocking;
        Err(found)
    }
}

/// Returns the branch of `others` that corresponds to `branch`, by a tag or a component name.
fn counterpart<'a>(
    branch: &Branch,
    others: &[&'a Branch],
    other_tags: &[Vec<Tag>],
) -> Option<&'a Branch> {
    let tags: HashSet<_> = tags(branch).into_iter().collect();
    let mut pairs = others.iter().zip(other_tags);
    let tagged = pairs.find(|(_, others)| others.iter().any(|tag| tags.contains(tag)));
    let tagged = tagged.map(|(other, _)| other);
    let named = || {
        let component = branch.component.as_ref()?;
        let mut others = others.iter();
        others.find(|other| other.component.as_ref() == Some(component))
    };
    tagged.or_else(named).copied()
}

/// A member and its value.
type Tag = (String, Value);

/// Returns what distinguishes an alternative: members that always have the same value, and the
/// member of an object with exactly one member.
fn tags(branch: &Branch) -> Vec<Tag> {
    let get = |keyword: &str| branch.keywords.get(keyword);
    let required = get("required").and_then(Value::as_array);
    let required: Vec<_> = required.into_iter().flatten().collect();
    let names: HashSet<_> = required.iter().filter_map(|name| name.as_str()).collect();
    let properties = get("properties").and_then(Value::as_object);
    let constants = properties
        .into_iter()
        .flatten()
        .filter_map(|(name, schema)| {
            let values = schema.get("enum").and_then(Value::as_array);
            let single = values.and_then(|values| match &**values {
                [value] => Some(value),
                _ => None,
            });
            let value = schema.get("const").or(single)?;
            let is_required = names.contains(name.as_str());
            is_required.then(|| (name.clone(), value.clone()))
        });
    let mut tags: Vec<_> = constants.collect();
    if let ([only], Some(properties), Some(Value::Bool(false))) =
        (&*required, properties, get("additionalProperties"))
        && properties.len() == 1
    {
        tags.push((String::new(), (*only).clone()));
    }
    tags
}

/// Returns the names of alternatives, for use in a sentence; `None` if one of them has no name.
fn names(branches: &[&Branch]) -> Option<String> {
    let names: Option<Vec<_>> = branches.iter().map(|branch| name(branch)).collect();
    Some(names?.join(", "))
}

/// Returns the name of an alternative, for use in a sentence.
fn name(branch: &Branch) -> Option<String> {
    let tag = tags(branch).into_iter().next().map(|(key, value)| {
        if key.is_empty() {
            value.to_string()
        } else {
            format!("{key} {value}")
        }
    });
    tag.or_else(|| branch.component.clone())
}
