//! Schemas of types that implement `JsonSchema`.

use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::schema::Schema;

impl Schema {
    /// Returns the schema that a request type's `JsonSchema` returns.
    ///
    /// The `Deserialize` of the type determines only the order of the properties.
    pub fn described_request<T: JsonSchema + DeserializeOwned>() -> Self {
        let declarations = Self::traced::<T>().declarations();
        Self::new(describe::<T>(Contract::Deserialize), declarations)
    }

    /// Returns the schema that a reply type's `JsonSchema` returns.
    pub fn described_reply<T: JsonSchema + ?Sized>() -> Self {
        Self::new(describe::<T>(Contract::Serialize), Vec::new())
    }
}

fn describe<T: JsonSchema + ?Sized>(contract: Contract) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = contract;
        settings.meta_schema = None;
        // Then only recursive types contain references.
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    // The names that schemars gives to types of the standard library (`Array_of_uint8`) are
    // not titles.
    if T::inline_schema() {
        schema.remove("title");
    }
    match schema.to_value() {
        Value::Object(schema) => Value::Object(schema),
        // `true` and `false` are schemas as well; `ensure_object` has replaced them at the root.
        _ => Value::Object(Map::new()),
    }
}
