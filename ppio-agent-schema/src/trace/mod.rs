//! Infers the structure of a type from its `Deserialize`.
//!
//! A type's `Deserialize` names what it expects (`deserialize_struct` with the names of the fields,
//! `deserialize_str`, …) and receives a sample value. A refusal is recorded, and the next pass
//! offers another value or none, until a pass shows nothing new. Then every field is left out once:
//! a field that is reported as missing is a required one.
//!
//! - [`deserializer`] and [`object_fields`] offer the values,
//! - [`learn`] changes the [`traced_type`] when a value is refused,
//! - [`json_schema`] writes the result.
//!
//! The crate `serde-reflection` is not used: it offers structs as sequences, which shows no
//! required fields, and fails for types that use `deserialize_any` or validate their values.

mod deserializer;
mod json_schema;
mod learn;
mod object_fields;
mod pass;
mod refused;
mod traced_type;

use std::borrow::Cow;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::deserializer::Tracer;
use self::pass::{Pass, PassGoal};
use self::traced_type::{TracedField, TracedType};
use crate::schema::Schema;

/// The maximum number of sample values for one type, which bounds time and memory: types that refer
/// to each other in many ways have more paths than can be followed.
const MAX_VALUES: u32 = 50_000;

impl Schema {
    /// Returns the schema that a type's `Deserialize` shows.
    ///
    /// The schema describes structs, maps, lists, tuples, the bounds of integers, texts of a known
    /// form (`uuid`, `date-time`, `date`, `uri`, `ipv4`, `email`), and enums, tagged in any of
    /// serde's ways. The schema is any JSON for untagged enums, a type nested within itself, and a
    /// type that refuses all sample values or panics on them. The schema lacks the optional fields
    /// of a struct that has a flattened field; such a schema allows additional properties.
    ///
    /// The type's `Deserialize` may run a hundred times and more, over at most 50,000 values in
    /// total.
    pub fn traced<T: DeserializeOwned>() -> Self {
        trace(|traced, values| {
            explore::<T>(traced, values);
        })
    }

    /// Like [`traced`](Self::traced); for a struct with a flattened field, also finds the optional
    /// fields that `Serialize` writes even when they are not set.
    pub(crate) fn traced_with_names<T: DeserializeOwned + Serialize>() -> Self {
        trace(|traced, values| {
            let sample = explore::<T>(traced, values);
            let sample = sample.and_then(|sample| serde_json::to_value(sample).ok());
            let Some((object, Value::Object(sample))) = traced.open_object().zip(sample) else {
                return;
            };
            // An empty key is the sample entry of a map.
            for name in sample.keys().filter(|name| !name.is_empty()) {
                if object.fields.iter().all(|field| field.name != *name) {
                    object
                        .fields
                        .push(TracedField::new(Cow::Owned(name.clone())));
                }
            }
            explore::<T>(traced, values);
        })
    }
}

/// Returns the schema of the type that `explore` inspects, or any JSON if the type panics.
fn trace(explore: impl FnOnce(&mut TracedType, &Cell<u32>)) -> Schema {
    let explored = catch_unwind(AssertUnwindSafe(|| {
        let mut traced = TracedType::default();
        explore(&mut traced, &Cell::new(MAX_VALUES));
        traced
    }));
    explored.map_or_else(
        |_| Schema::any(),
        |traced| {
            let mut declarations = Vec::new();
            Schema::new(traced.to_json(&mut declarations), declarations)
        },
    )
}

/// Runs `T::deserialize` until it shows nothing new. Returns the last value that it accepted.
fn explore<T: DeserializeOwned>(traced: &mut TracedType, values: &Cell<u32>) -> Option<T> {
    let mut accepted = None;
    for goal in [PassGoal::Values, PassGoal::Required] {
        loop {
            let pass = Pass::new(goal, values);
            match T::deserialize(Tracer::new(traced, &pass)) {
                Ok(value) => accepted = Some(value),
                Err(refused) => {
                    traced.refuse(&pass, refused);
                }
            }
            if !pass.learned.get() || values.get() == 0 {
                break;
            }
        }
    }
    accepted
}
