//! The schemas of an entrypoint, computed by a function that is registered with the entrypoint.

#[cfg(feature = "schema")]
use std::sync::OnceLock;

use serde::Serialize;

use crate::exchange::agent_info::AgentInfo;

/// The schemas of the request and the reply of an entrypoint.
#[cfg(feature = "schema")]
#[derive(Serialize)]
pub struct EntrypointSchema {
    /// The schema of the request.
    pub request: ppio_agent_schema::Schema,
    /// The schema of the reply.
    pub reply: ppio_agent_schema::ReplySchema,
}

/// An empty type, since the feature `schema` is off.
#[cfg(not(feature = "schema"))]
#[derive(Serialize)]
pub(crate) enum EntrypointSchema {}

/// The function that computes the schemas of one entrypoint.
#[cfg(feature = "schema")]
pub(crate) type SchemaFunction = fn() -> EntrypointSchema;

/// A placeholder that is registered instead of a function, since the feature `schema` is off.
#[cfg(not(feature = "schema"))]
#[derive(Clone, Copy)]
pub struct SchemaFunction;

/// The description of an agent, and the schemas of its entrypoint.
#[derive(Clone, Copy)]
pub(crate) struct AboutAgent {
    pub(crate) info: AgentInfo,
    pub(crate) schema: SchemaFunction,
}

/// The schemas of an entrypoint, computed at their first use.
pub(crate) struct LazySchema {
    #[cfg(feature = "schema")]
    function: SchemaFunction,
    #[cfg(feature = "schema")]
    schema: OnceLock<EntrypointSchema>,
}

#[cfg(feature = "schema")]
impl LazySchema {
    pub(crate) fn new(function: SchemaFunction) -> Self {
        Self {
            function,
            schema: OnceLock::new(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "`None` without the feature")]
    pub(crate) fn get(&self) -> Option<&EntrypointSchema> {
        Some(self.schema.get_or_init(self.function))
    }
}

#[cfg(not(feature = "schema"))]
impl LazySchema {
    pub(crate) fn new(_: SchemaFunction) -> Self {
        Self {}
    }

    #[expect(clippy::unused_self, reason = "the feature `schema` uses it")]
    pub(crate) fn get(&self) -> Option<&EntrypointSchema> {
        None
    }
}

/// The [`SchemaFunction`] of an annotated function.
///
/// The expansion of `#[entrypoint]` is compiled in the user's crate, where it cannot test the
/// features of the runtime.
#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! __entrypoint_schema {
    ($function:path, $request:ty) => {
        || $crate::__private::EntrypointSchema {
            request: $crate::__private::schema::request_schema!($request),
            reply: $crate::__private::schema::reply_schema!($function),
        }
    };
}

/// The [`SchemaFunction`] of an annotated function.
#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __entrypoint_schema {
    ($function:path, $request:ty) => {
        $crate::__private::SchemaFunction
    };
}
