//! Chooses the source of a schema by type.
//!
//! Method resolution takes the first implementation whose conditions hold, outermost reference
//! first: `(&&SchemaOf::<T>::new()).method()` finds an implementation for `&SchemaOf<T>` before one
//! for `SchemaOf<T>`. The macros write as many references as a trait has implementations.

use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::Schema;

/// A type as a value, so that method resolution can find its schema.
pub struct SchemaOf<T>(PhantomData<fn() -> T>);

impl<T> SchemaOf<T> {
    /// Creates the value for the type `T`.
    #[expect(clippy::new_without_default, reason = "only the macros make one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Finds the schema of a request type: from `JsonSchema`, else from `Deserialize`, else any value.
pub trait FindRequestSchema {
    /// Returns the schema of the type.
    fn request_schema(&self) -> Schema;
}

impl<T: JsonSchema + DeserializeOwned> FindRequestSchema for &&&SchemaOf<T> {
    fn request_schema(&self) -> Schema {
        Schema::described_request::<T>()
    }
}

impl<T: DeserializeOwned + Serialize> FindRequestSchema for &&SchemaOf<T> {
    fn request_schema(&self) -> Schema {
        Schema::traced_with_names::<T>()
    }
}

impl<T: DeserializeOwned> FindRequestSchema for &SchemaOf<T> {
    fn request_schema(&self) -> Schema {
        Schema::traced::<T>()
    }
}

impl<T> FindRequestSchema for SchemaOf<T> {
    fn request_schema(&self) -> Schema {
        Schema::any()
    }
}

/// Finds the schema of a reply type or of stream items: from `JsonSchema`, else any value.
pub trait FindReplySchema {
    /// Returns the schema of the type.
    fn reply_schema(&self) -> Schema;
}

impl<T: JsonSchema> FindReplySchema for &SchemaOf<T> {
    fn reply_schema(&self) -> Schema {
        Schema::described_reply::<T>()
    }
}

impl<T> FindReplySchema for SchemaOf<T> {
    fn reply_schema(&self) -> Schema {
        Schema::any()
    }
}

/// Returns the [`Schema`] of a request type.
///
/// The schema comes from the type's `JsonSchema`, otherwise from its `Deserialize`; without either,
/// it is [`Schema::any`](crate::Schema::any). The type has to be known where the macro is used: a
/// generic parameter shows only its bounds.
#[macro_export]
macro_rules! request_schema {
    ($type:ty) => {{
        use $crate::__private::{FindRequestSchema as _, SchemaOf};
        (&&&&SchemaOf::<$type>::new()).request_schema()
    }};
}
