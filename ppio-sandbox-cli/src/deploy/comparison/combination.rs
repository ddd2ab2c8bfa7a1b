//! Combines the branches of schemas that a value has to satisfy together.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::branch::{Branch, Kind};
use super::budget::Share;

/// The maximum number of branches of a schema.
const MAX_BRANCHES: usize = 256;

/// Returns the branches of the values that are valid by both lists; `None` if there are too many
/// branches or they take too much work.
pub(super) fn product(
    left: &[Branch],
    right: &[Branch],
    budget: &Share<'_>,
) -> Option<Vec<Branch>> {
    let mut merged = Vec::new();
    for left in left {
        for right in right {
            budget.take(1)?;
            if let Some(kind) = common_kind(left.kind, right.kind) {
                budget.take(left.size() + right.size())?;
                merged.extend(merge(left, right, kind));
            }
            if merged.len() > MAX_BRANCHES {
                return None;
            }
        }
    }
    Some(merged)
}

/// Returns the type of the values that belong to both types.
fn common_kind(left: Kind, right: Kind) -> Option<Kind> {
    match (left, right) {
        (left, right) if left.includes(right) => Some(right),
        (left, right) if right.includes(left) => Some(left),
        _ => None,
    }
}

/// Returns the branch of the values of this type that both branches allow; `None` if no value of
/// their `enum` is allowed. Other contradictions are not detected.
fn merge(left: &Branch, right: &Branch, kind: Kind) -> Option<Branch> {
    let mut merged = left.clone();
    merged.kind = kind;
    merged.component = left.component.clone().or_else(|| right.component.clone());
    merged.reference = match (left.is_plain(), right.is_plain()) {
        (true, _) => right.reference.clone(),
        (_, true) => left.reference.clone(),
        _ => None,
    };
    merged.unmerged.extend(right.unmerged.iter().cloned());
    if closes_to(left, right) || closes_to(right, left) {
        let closed = [left, right].map(|branch| json!(branch.keywords));
        merged.unmerged.push(json!({"closed": closed}));
    }
    for (keyword, value) in &right.keywords {
        let Some(other) = merged.keywords.get(keyword) else {
            merged.keywords.insert(keyword.clone(), value.clone());
            continue;
        };
        if other == value {
            continue;
        }
        match both(keyword, other, value) {
            Some(Value::Array(values)) if keyword == "enum" && values.is_empty() => return None,
            Some(both) => {
                merged.keywords.insert(keyword.clone(), both);
            }
            None => merged.unmerged.push(json!({ keyword: value })),
        }
    }
    if let Some(values) = merged
        .keywords
        .get_mut("enum")
        .and_then(Value::as_array_mut)
    {
        values.retain(|value| kind.has(value));
        if values.is_empty() {
            return None;
        }
    }
    Some(merged)
}

/// Whether `branch` limits members that only `other` names.
fn closes_to(branch: &Branch, other: &Branch) -> bool {
    fn properties(branch: &Branch) -> Option<&Map<String, Value>> {
        branch.keywords.get("properties").and_then(Value::as_object)
    }
    let own = properties(branch);
    let is_new = |name: &String| !own.is_some_and(|own| own.contains_key(name));
    let others = branch.keywords.get("additionalProperties");
    others.is_some_and(|others| others != true)
        && properties(other).is_some_and(|others| others.keys().any(is_new))
}

/// Returns the value of a keyword that combines two of its values; `None` if they cannot be
/// combined.
fn both(keyword: &str, left: &Value, right: &Value) -> Option<Value> {
    match keyword {
        "enum" => {
            let right: HashSet<_> = right.as_array()?.iter().collect();
            let values = left.as_array()?.iter();
            let values: Vec<_> = values.filter(|value| right.contains(value)).collect();
            Some(json!(values))
        }
        "required" => {
            let left = left.as_array()?;
            let names: HashSet<_> = left.iter().collect();
            let missing = right.as_array()?.iter();
            let missing = missing.filter(|name| !names.contains(name));
            Some(left.iter().chain(missing).cloned().collect())
        }
        "properties" => {
            let mut properties = left.as_object()?.clone();
            for (name, schema) in right.as_object()? {
                let both = match properties.get(name) {
                    Some(other) if other != schema => all_of(other, schema),
                    _ => schema.clone(),
                };
                properties.insert(name.clone(), both);
            }
            Some(properties.into())
        }
        "items" => Some(all_of(left, right)),
        "minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties" => {
            let left_is_larger = left.as_f64()? >= right.as_f64()?;
            Some(if left_is_larger { left } else { right }.clone())
        }
        "maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties" => {
            let left_is_smaller = left.as_f64()? <= right.as_f64()?;
            Some(if left_is_smaller { left } else { right }.clone())
        }
        _ => None,
    }
}

/// Returns the schema of the values that are valid by both schemas. Adding further schemas does not
/// nest the result more deeply.
fn all_of(left: &Value, right: &Value) -> Value {
    fn members(schema: &Value) -> &[Value] {
        let keywords = schema.as_object().filter(|keywords| keywords.len() == 1);
        let members = keywords.and_then(|keywords| keywords.get("allOf")?.as_array());
        members.map_or(std::slice::from_ref(schema), Vec::as_slice)
    }
    let all = [members(left), members(right)].concat();
    json!({ "allOf": all })
}
