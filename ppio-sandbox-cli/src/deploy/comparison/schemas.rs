//! Compares two schemas.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::branch::{Branch, Kind, types};
use super::branches::branches;
use super::budget::WorkBudget;
use super::change::{Change, Place, Severity};
use super::document::{ComparedDocument, Sameness, plain_reference};

/// The maximum number of pairs of schemas that are compared. Untagged alternatives need many.
const MAX_PAIRS: usize = 50_000;
/// The deepest nesting that is compared. Only recursive schemas are expected to be deeper.
const MAX_DEPTH: usize = 64;
/// The approximate number of changes after which the remaining schemas are not compared.
const MAX_CHANGES: usize = 20_000;

/// The writer of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// Callers: what they write today has to be accepted.
    Request,
    /// The service: what it writes has to be what callers read today.
    Response,
}

impl Direction {
    /// Orders the old and the new schema as (subset, superset): the values of the first have to be
    /// valid by the second.
    pub(super) fn ordered<T>(self, old: T, new: T) -> (T, T) {
        match self {
            Self::Request => (old, new),
            Self::Response => (new, old),
        }
    }
}

/// Two references and the writer of the value.
pub(super) type Pair = (String, String, Direction);

/// Two documents, and the changes found so far.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    pub(super) old: ComparedDocument<'a>,
    pub(super) new: ComparedDocument<'a>,
    pub(super) changes: Vec<Change>,
    /// The pairs that were compared, and whether changes in them are blocking. Each change is
    /// reported where it is found first. A pair that is still being compared counts as not
    /// blocking.
    pub(super) seen: HashMap<Pair, bool>,
    /// The number of changes found that are not notes, including repetitions. A pair of references
    /// that is found again counts as at most one change.
    pub(super) blocking: usize,
    pub(super) budget: WorkBudget,
    pairs: usize,
    depth: usize,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(old: ComparedDocument<'a>, new: ComparedDocument<'a>) -> Self {
        Self {
            old,
            new,
            changes: Vec::new(),
            seen: HashMap::new(),
            blocking: 0,
            budget: WorkBudget::new(),
            pairs: 0,
            depth: 0,
        }
    }

    /// Returns the changes, each once.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let mut changes = self.changes;
        let mut seen = HashSet::new();
        changes.retain(|change| seen.insert(change.clone()));
        changes
    }

    pub(super) fn breaking(&mut self, place: &Place, change: impl Into<String>) {
        self.add(Severity::Breaking, place, change.into());
    }

    pub(super) fn not_compared(&mut self, place: &Place, what: &str) {
        let change = format!("{what} changed, not compared");
        self.add(Severity::NotCompared, place, change);
    }

    pub(super) fn note(&mut self, place: &Place, change: impl Into<String>) {
        self.add(Severity::Note, place, change.into());
    }

    fn add(&mut self, severity: Severity, place: &Place, text: String) {
        if severity != Severity::Note {
            self.blocking += 1;
        }
        if self.changes.len() >= MAX_CHANGES {
            self.budget.end();
            if severity == Severity::Note {
                return;
            }
        }
        self.changes.push(Change {
            severity,
            place: place.to_string(),
            text,
        });
    }

    /// Whether two schemas, or lists of them, are the same.
    pub(super) fn same(&self, old: &Value, new: &Value) -> bool {
        self.sameness().of(old, new)
    }

    pub(super) fn sameness(&self) -> Sameness<'a, '_> {
        Sameness::new(self.old, self.new, &self.budget)
    }

    pub(super) fn schemas(
        &mut self,
        old: &Value,
        new: &Value,
        direction: Direction,
        place: &Place,
    ) {
        self.pairs += 1;
        if self.depth == MAX_DEPTH || self.pairs > MAX_PAIRS || self.budget.is_spent() {
            if !self.same(old, new) {
                self.not_compared(place, "a schema that is too large");
            }
            return;
        }
        self.depth += 1;
        let olds = branches(self.old, old, &self.budget);
        match (olds, branches(self.new, new, &self.budget)) {
            (Some(olds), Some(news)) => {
                let references = (plain_reference(old), plain_reference(new));
                match references {
                    (Some(left), Some(right)) if !(is_single(&olds) && is_single(&news)) => {
                        self.once(left, right, direction, |comparison| {
                            comparison.branches(&olds, &news, direction, place);
                        });
                    }
                    _ => self.branches(&olds, &news, direction, place),
                }
            }
            _ if self.same(old, new) => {}
            _ => self.not_compared(place, "a schema that cannot be resolved"),
        }
        self.depth -= 1;
    }

    /// Compares the targets of two references, unless they were compared before.
    fn once(
        &mut self,
        old: &str,
        new: &str,
        direction: Direction,
        compare: impl FnOnce(&mut Self),
    ) {
        let pair = (old.to_owned(), new.to_owned(), direction);
        if let Some(is_blocking) = self.seen.get(&pair) {
            self.blocking += usize::from(*is_blocking);
            return;
        }
        self.seen.insert(pair.clone(), false);
        let before = self.blocking;
        compare(self);
        self.seen.insert(pair, self.blocking > before);
    }

    fn branches(&mut self, olds: &[Branch], news: &[Branch], direction: Direction, place: &Place) {
        let (subset, superset) = direction.ordered(olds, news);
        let is_accepted = |branch: &Branch| {
            superset
                .iter()
                .any(|other| other.kind.includes(branch.kind))
        };
        if !subset.iter().all(is_accepted) {
            self.breaking(place, format!("type {} → {}", types(olds), types(news)));
        }
        for kind in Kind::ALL.into_iter().chain([Kind::Integer]) {
            let subset: Vec<_> = subset.iter().filter(|branch| branch.kind == kind).collect();
            let superset: Vec<_> = superset
                .iter()
                .filter(|branch| branch.kind.includes(kind))
                .collect();
            if subset.is_empty() || superset.is_empty() {
                continue;
            }
            match kind {
                Kind::Array | Kind::Object => {
                    self.structures(&subset, &superset, direction, place);
                }
                _ => self.scalars(&subset, &superset, direction, place),
            }
        }
    }

    /// Compares two branches of one type.
    pub(super) fn pair(
        &mut self,
        subset: &Branch,
        superset: &Branch,
        direction: Direction,
        place: &Place,
    ) {
        let (old, new) = direction.ordered(subset, superset);
        if let (Some(left), Some(right)) = (&old.reference, &new.reference) {
            self.once(left, right, direction, |comparison| {
                comparison.keywords(old, new, direction, place);
            });
        } else {
            self.keywords(old, new, direction, place);
        }
    }

    fn keywords(&mut self, old: &Branch, new: &Branch, direction: Direction, place: &Place) {
        match old.kind {
            Kind::Object => self.members(&old.keywords, &new.keywords, direction, place),
            Kind::Array => self.elements(&old.keywords, &new.keywords, direction, place),
            _ => {}
        }
        self.limits(old, new, direction, place);
    }
}

/// Whether there is only one branch, which consists only of a reference. [`Comparison::pair`]
/// compares the targets of such references only once.
fn is_single(branches: &[Branch]) -> bool {
    matches!(branches, [branch] if branch.reference.is_some())
}
