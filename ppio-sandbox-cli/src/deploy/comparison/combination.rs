//! What is valid by two schemas at once.

use serde_json::{Value, json};

use super::branch::Branch;

/// The most branches of a schema.
const MAX_BRANCHES: usize = 256;

/// What is valid by a branch of both; `None` if there are too many.
pub(super) fn product(left: &[Branch], right: &[Branch]) -> Option<Vec<Branch>> {
    let mut merged = Vec::new();
    for left in left {
        merged.extend(right.iter().filter_map(|right| merge(left, right)));
        if merged.len() > MAX_BRANCHES {
            return None;
        }
    }
    Some(merged)
}

/// What is valid by both branches; `None` if that is nothing.
fn merge(left: &Branch, right: &Branch) -> Option<Branch> {
    let kind = match (left.kind, right.kind) {
        (left, right) if left.includes(right) => right,
        (left, right) if right.includes(left) => left,
        _ => return None,
    };
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
    let names = |branch: &Branch| -> Vec<String> {
        let properties = branch.keywords.get("properties");
        let properties = properties.and_then(Value::as_object);
        properties.map_or_else(Vec::new, |properties| properties.keys().cloned().collect())
    };
    let own = names(branch);
    let others = branch.keywords.get("additionalProperties");
    others.is_some_and(|others| others != true)
        && names(other).iter().any(|name| !own.contains(name))
}

/// The value of a keyword that says what two of its values say.
fn both(keyword: &str, left: &Value, right: &Value) -> Option<Value> {
    match keyword {
        "enum" => {
            let right = right.as_array()?;
            let values = left.as_array()?.iter();
            let values: Vec<_> = values.filter(|value| right.contains(value)).collect();
            Some(json!(values))
        }
        "required" => {
            let mut names = left.as_array()?.clone();
            let missing = right.as_array()?.iter();
            let missing: Vec<_> = missing.filter(|name| !names.contains(name)).collect();
            names.extend(missing.into_iter().cloned());
            Some(names.into())
        }
        "properties" => {
            let mut properties = left.as_object()?.clone();
            for (name, schema) in right.as_object()? {
                let both = match properties.get(name) {
                    Some(other) if other != schema => json!({"allOf": [other, schema]}),
                    _ => schema.clone(),
                };
                properties.insert(name.clone(), both);
            }
            Some(properties.into())
        }
        "items" => Some(json!({"allOf": [left, right]})),
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
