//! Splits schemas into branches without references and combinations.

use serde_json::{Map, Value, json};

use super::branch::{Branch, Kind};
use super::budget::{Share, WorkBudget, size};
use super::combination::product;
use super::document::{ComparedDocument, is_annotation};

/// The deepest nesting of references and combinations in one schema.
const MAX_DEPTH: usize = 32;

/// Returns the branches of a schema; `None` if the schema is not valid, is nested too deeply, takes
/// too much work, or has too many branches or a reference that cannot be resolved.
pub(super) fn branches(
    document: ComparedDocument<'_>,
    schema: &Value,
    budget: &WorkBudget,
) -> Option<Vec<Branch>> {
    expand(document, schema, MAX_DEPTH, &budget.of_schema())
}

fn expand(
    document: ComparedDocument<'_>,
    schema: &Value,
    depth: usize,
    budget: &Share<'_>,
) -> Option<Vec<Branch>> {
    let depth = depth.checked_sub(1)?;
    budget.take(1)?;
    let keywords = match schema {
        Value::Bool(true) => &Map::new(),
        Value::Bool(false) => return Some(Vec::new()),
        Value::Object(keywords) => keywords,
        _ => return None,
    };
    let mut branches = own(keywords, budget)?;
    if let Some(reference) = keywords.get("$ref") {
        let reference = reference.as_str()?;
        let mut target = expand(document, document.target(reference)?, depth, budget)?;
        // A name that several branches share would not distinguish them.
        if let [branch] = &mut *target {
            let name = reference.rsplit('/').next();
            branch.component = name.map(str::to_owned);
            branch.reference = Some(reference.to_owned());
        }
        branches = product(&branches, &target, budget)?;
    }
    for member in list(keywords, "allOf")? {
        let member = expand(document, member, depth, budget)?;
        branches = product(&branches, &member, budget)?;
    }
    for combination in ["anyOf", "oneOf"] {
        if !keywords.contains_key(combination) {
            continue;
        }
        let mut alternatives = Vec::new();
        for member in list(keywords, combination)? {
            alternatives.extend(expand(document, member, depth, budget)?);
        }
        branches = product(&branches, &alternatives, budget)?;
    }
    Some(branches)
}

/// Returns the members of a combination; `None` if it is not a list.
fn list<'a>(keywords: &'a Map<String, Value>, name: &str) -> Option<&'a [Value]> {
    match keywords.get(name) {
        None => Some(&[]),
        Some(members) => members.as_array().map(Vec::as_slice),
    }
}

/// Returns the branches of the keywords other than references and combinations.
fn own(keywords: &Map<String, Value>, budget: &Share<'_>) -> Option<Vec<Branch>> {
    let mut kinds = match keywords.get("type") {
        None => Kind::ALL.to_vec(),
        Some(Value::String(name)) => vec![Kind::named(name)?],
        Some(Value::Array(names)) => {
            let kinds = names.iter().map(|name| Kind::named(name.as_str()?));
            kinds.collect::<Option<_>>()?
        }
        Some(_) => return None,
    };
    if kinds.contains(&Kind::Number) {
        kinds.retain(|kind| *kind != Kind::Integer);
    }
    let sizes = keywords.iter().filter(|(keyword, _)| is_own(keyword));
    let sizes: usize = sizes.map(|(_, value)| size(value)).sum();
    budget.take(kinds.len() * (1 + sizes))?;
    let values = match (keywords.get("const"), keywords.get("enum")) {
        (Some(value), _) => Some(vec![value.clone()]),
        (None, Some(Value::Array(values))) => Some(values.clone()),
        (None, Some(_)) => return None,
        (None, None) => None,
    };
    let limits = keywords.iter().filter(|(keyword, _)| {
        is_own(keyword) && !matches!(keyword.as_str(), "type" | "const" | "enum")
    });
    let limits: Vec<_> = limits.collect();
    let branches = kinds.into_iter().filter_map(|kind| {
        let limits = limits.iter().filter(|(name, _)| kind.is_limited_by(name));
        let limits = limits.map(|&(name, value)| (name.clone(), value.clone()));
        let mut keywords: Map<_, _> = limits.collect();
        if let Some(values) = &values {
            let values: Vec<_> = values.iter().filter(|value| kind.has(value)).collect();
            if values.is_empty() {
                return None;
            }
            keywords.insert("enum".to_owned(), json!(values));
        }
        Some(Branch {
            kind,
            keywords,
            component: None,
            reference: None,
            unmerged: Vec::new(),
        })
    });
    Some(branches.collect())
}

/// Whether a keyword limits values by itself.
fn is_own(keyword: &str) -> bool {
    !matches!(keyword, "$ref" | "allOf" | "anyOf" | "oneOf") && !is_annotation(keyword)
}
