//! Compares the limits of values: bounds, formats, patterns, and keywords for which only a
//! difference is reported.

use serde_json::{Map, Value};

use super::branch::{Branch, Kind};
use super::change::Place;
use super::schemas::{Comparison, Direction};

/// The formats of integers, with their smallest and largest values.
const INTEGERS: [(&str, f64, f64); 10] = [
    ("int8", -128.0, 127.0),
    ("int16", -32_768.0, 32_767.0),
    ("int32", -2_147_483_648.0, 2_147_483_647.0),
    (
        "int64",
        -9_223_372_036_854_775_808.0,
        9_223_372_036_854_775_807.0,
    ),
    (
        "int",
        -9_223_372_036_854_775_808.0,
        9_223_372_036_854_775_807.0,
    ),
    ("uint8", 0.0, 255.0),
    ("uint16", 0.0, 65_535.0),
    ("uint32", 0.0, 4_294_967_295.0),
    ("uint64", 0.0, 18_446_744_073_709_551_615.0),
    ("uint", 0.0, 18_446_744_073_709_551_615.0),
];
/// The keywords for the lower and the upper bound of each count.
const COUNTS: [(&str, &str); 3] = [
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
];

/// A bound, and the keyword that sets it.
#[derive(Debug, Clone)]
struct Bound {
    value: f64,
    is_exclusive: bool,
    text: String,
}

/// Which values a bound excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Above,
}

impl Side {
    /// Whether `bound` excludes everything that `other` excludes.
    fn covers(self, bound: &Bound, other: &Bound) -> bool {
        let order = bound.value.total_cmp(&other.value);
        let order = match self {
            Self::Below => order,
            Self::Above => order.reverse(),
        };
        order.is_gt() || (order.is_eq() && (bound.is_exclusive || !other.is_exclusive))
    }
}

impl Comparison<'_> {
    /// Compares the keywords that limit values of one type, and all unknown keywords.
    pub(super) fn limits(
        &mut self,
        old: &Branch,
        new: &Branch,
        direction: Direction,
        place: &Place,
    ) {
        let (left, right) = (&old.keywords, &new.keywords);
        for side in [Side::Below, Side::Above] {
            let bounds = (number_bound(old, side), number_bound(new, side));
            self.bounds(bounds, side, direction, place);
            for (lower, upper) in COUNTS {
                let keyword = if side == Side::Below { lower } else { upper };
                let bounds = (count(left, keyword), count(right, keyword));
                self.bounds(bounds, side, direction, place);
            }
        }
        let mut keywords: Vec<_> = left.keys().chain(right.keys()).collect();
        keywords.sort_unstable();
        keywords.dedup();
        for keyword in keywords {
            let pair = (left.get(keyword), right.get(keyword));
            self.other_keyword(keyword, pair, (old.kind, new.kind), direction, place);
        }
        if !self.sameness().of_lists(&old.unmerged, &new.unmerged) {
            self.not_compared(place, "`allOf`");
        }
    }

    fn bounds(
        &mut self,
        (old, new): (Option<Bound>, Option<Bound>),
        side: Side,
        direction: Direction,
        place: &Place,
    ) {
        let (subset, superset) = direction.ordered(&old, &new);
        let Some(limit) = superset else { return };
        if subset
            .as_ref()
            .is_some_and(|bound| side.covers(bound, limit))
        {
            return;
        }
        let text = |bound: &Option<Bound>| match bound {
            Some(bound) => bound.text.clone(),
            None => "no limit".to_owned(),
        };
        self.breaking(place, format!("{} → {}", text(&old), text(&new)));
    }

    fn other_keyword(
        &mut self,
        keyword: &str,
        (old, new): (Option<&Value>, Option<&Value>),
        (old_kind, new_kind): (Kind, Kind),
        direction: Direction,
        place: &Place,
    ) {
        let is_text = (old_kind, new_kind) == (Kind::String, Kind::String);
        let (subset, superset) = direction.ordered(old, new);
        match keyword {
            "enum" if !matches!(old_kind, Kind::Array | Kind::Object) => {}
            "properties"
            | "required"
            | "additionalProperties"
            | "items"
            | "prefixItems"
            | "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "minProperties"
            | "maxProperties" => {}
            "format" if !is_text && [old, new].into_iter().flatten().all(is_number_format) => {}
            "contentSchema" => {
                let any = Value::Bool(true);
                let (old, new) = (old.unwrap_or(&any), new.unwrap_or(&any));
                self.schemas(old, new, direction, place);
            }
            "uniqueItems" if superset.is_none_or(|unique| *unique == false) => {}
            "format" | "pattern" | "multipleOf" | "uniqueItems" => match (subset, superset) {
                (_, None) => {}
                (Some(subset), Some(superset)) if subset == superset => {}
                // One format never implies another; whether patterns and `multipleOf` do is not
                // decided.
                (Some(_), Some(_)) if keyword != "format" => {
                    self.not_compared(place, &format!("`{keyword}`"));
                }
                _ => {
                    let text = |value: Option<&Value>| match value {
                        Some(value) => format!("{keyword} {value}"),
                        None => format!("no {keyword}"),
                    };
                    self.breaking(place, format!("{} → {}", text(old), text(new)));
                }
            },
            _ => {
                let is_same = match (old, new) {
                    (Some(old), Some(new)) => self.sameness().of_keyword(keyword, old, new),
                    _ => false,
                };
                if !is_same {
                    self.not_compared(place, &format!("`{keyword}`"));
                }
            }
        }
    }
}

/// Whether a format bounds numbers, such as `int32`, or does not limit them, such as `float`.
fn is_number_format(format: &Value) -> bool {
    let format = format.as_str().unwrap_or_default();
    matches!(format, "float" | "double") || INTEGERS.iter().any(|(name, _, _)| *name == format)
}

/// Returns the strictest bound of numbers on one side.
fn number_bound(branch: &Branch, side: Side) -> Option<Bound> {
    let (inclusive, exclusive) = match side {
        Side::Below => ("minimum", "exclusiveMinimum"),
        Side::Above => ("maximum", "exclusiveMaximum"),
    };
    let step = if side == Side::Below { 1.0 } else { -1.0 };
    let keyword = |keyword: &str, is_exclusive| {
        let value = branch.keywords.get(keyword)?;
        let text = format!("{keyword} {value}");
        let value = value.as_f64()?;
        // For integers, more than 0 is at least 1.
        let is_whole = branch.kind == Kind::Integer && value.fract().abs() < f64::EPSILON;
        Some(Bound {
            value: if is_exclusive && is_whole {
                value + step
            } else {
                value
            },
            is_exclusive: is_exclusive && !is_whole,
            text,
        })
    };
    let format = branch.keywords.get("format").and_then(Value::as_str);
    let format = INTEGERS.iter().find(|(name, _, _)| Some(*name) == format);
    let format = format.filter(|_| branch.kind == Kind::Integer);
    let format = format.map(|(name, smallest, largest)| Bound {
        value: if side == Side::Below {
            *smallest
        } else {
            *largest
        },
        is_exclusive: false,
        text: format!("format {name}"),
    });
    let bounds = [keyword(inclusive, false), keyword(exclusive, true), format];
    bounds.into_iter().flatten().reduce(|strictest, bound| {
        if side.covers(&strictest, &bound) {
            strictest
        } else {
            bound
        }
    })
}

/// Returns the bound of a count; `None` if the keyword is missing, or for a minimum of 0, which
/// excludes nothing.
fn count(keywords: &Map<String, Value>, keyword: &str) -> Option<Bound> {
    let value = keywords.get(keyword)?;
    let is_limit = keyword.starts_with("max") || value != 0;
    Some(Bound {
        value: value.as_f64()?,
        is_exclusive: false,
        text: format!("{keyword} {value}"),
    })
    .filter(|_| is_limit)
}
