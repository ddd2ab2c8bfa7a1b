//! Compares the members of objects and the elements of arrays.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::change::Place;
use super::schemas::{Comparison, Direction};

type Keywords = Map<String, Value>;

/// The members that the keywords of an object describe.
struct Members<'a> {
    properties: Option<&'a Keywords>,
    required: Vec<&'a str>,
    required_names: HashSet<&'a str>,
    /// The schema of all other members.
    others: &'a Value,
}

impl<'a> Members<'a> {
    fn of(keywords: &'a Keywords) -> Self {
        let required = keywords.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten();
        let required: Vec<_> = required.filter_map(Value::as_str).collect();
        Self {
            properties: keywords.get("properties").and_then(Value::as_object),
            required_names: required.iter().copied().collect(),
            required,
            others: keywords
                .get("additionalProperties")
                .unwrap_or(&Value::Bool(true)),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.properties?.get(name)
    }

    fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.properties.into_iter().flatten()
    }

    fn requires(&self, name: &str) -> bool {
        self.required_names.contains(name)
    }
}

impl Comparison<'_> {
    /// Compares objects.
    pub(super) fn members(
        &mut self,
        old: &Keywords,
        new: &Keywords,
        direction: Direction,
        place: &Place,
    ) {
        let (old, new) = (Members::of(old), Members::of(new));
        // If too little of the budget is left, the schemas of the members are not compared.
        let _ = self.budget.take(old.iter().chain(new.iter()).count());
        match direction {
            Direction::Request => self.accepted_members(&old, &new, place),
            Direction::Response => self.promised_members(&old, &new, place),
        }
        for (name, schema) in old.iter() {
            if let Some(new) = new.get(name) {
                self.schemas(schema, new, direction, &place.member(name));
            }
        }
        // A map whose keys became members.
        if old.others.is_object() {
            for (name, schema) in new.iter().filter(|(name, _)| old.get(name).is_none()) {
                self.schemas(old.others, schema, direction, &place.member(name));
            }
        }
        let are_booleans = old.others.is_boolean() && new.others.is_boolean();
        let are_new = direction == Direction::Response && old.others == false;
        if !are_booleans && !are_new {
            self.schemas(old.others, new.others, direction, &place.others());
        }
    }

    /// Reports changes by which the new object may no longer accept what callers send for the old
    /// one, and members that are no longer described.
    fn accepted_members(&mut self, old: &Members<'_>, new: &Members<'_>, place: &Place) {
        for name in new.required.iter().filter(|name| !old.requires(name)) {
            let change = match old.get(name) {
                Some(_) => "optional → required",
                None => "new required member",
            };
            self.breaking(&place.member(name), change);
        }
        for (name, schema) in old.iter().filter(|(name, _)| new.get(name).is_none()) {
            let place = place.member(name);
            match new.others {
                Value::Bool(false) => self.breaking(&place, "member is no longer accepted"),
                Value::Bool(true) => self.note(&place, "member is no longer described"),
                others => self.schemas(schema, others, Direction::Request, &place),
            }
        }
        if (old.others, new.others) == (&Value::Bool(true), &Value::Bool(false)) {
            self.breaking(&place.others(), "other members are no longer accepted");
        }
    }

    /// Reports members that callers expect and that the new object may lack, and members that the
    /// old object did not allow.
    fn promised_members(&mut self, old: &Members<'_>, new: &Members<'_>, place: &Place) {
        for name in old.required.iter().filter(|name| !new.requires(name)) {
            let change = match new.get(name) {
                Some(_) => "required → optional",
                None => "member is gone",
            };
            self.breaking(&place.member(name), change);
        }
        let gone = old.iter();
        let gone = gone.filter(|(name, _)| new.get(name).is_none() && !old.requires(name));
        for (name, _) in gone {
            self.note(&place.member(name), "optional member is gone");
        }
        if old.others == false {
            for (name, _) in new.iter().filter(|(name, _)| old.get(name).is_none()) {
                self.note(
                    &place.member(name),
                    "new member of an object that allowed no other members",
                );
            }
            if new.others != false {
                self.note(&place.others(), "other members are possible now");
            }
        }
    }

    /// Compares arrays.
    pub(super) fn elements(
        &mut self,
        old: &Keywords,
        new: &Keywords,
        direction: Direction,
        place: &Place,
    ) {
        fn first(keywords: &Keywords) -> &[Value] {
            let first = keywords.get("prefixItems").and_then(Value::as_array);
            first.map_or(&[], |first| &**first)
        }
        fn rest(keywords: &Keywords) -> &Value {
            keywords.get("items").unwrap_or(&Value::Bool(true))
        }
        let (subset, _) = direction.ordered(old, new);
        let length = subset.get("maxItems").and_then(Value::as_u64);
        let length = length.map_or(usize::MAX, |length| {
            usize::try_from(length).unwrap_or(usize::MAX)
        });
        let described = first(old).len().max(first(new).len());
        let (old_rest, new_rest) = (rest(old), rest(new));
        for index in 0..described.min(length) {
            let old = first(old).get(index).unwrap_or(old_rest);
            let new = first(new).get(index).unwrap_or(new_rest);
            self.schemas(old, new, direction, &place.element(index));
        }
        if length > described {
            self.schemas(old_rest, new_rest, direction, &place.others());
        }
    }
}
