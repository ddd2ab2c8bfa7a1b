//! JSON Schemas ([2020-12]) of the types that an agent takes and returns.
//!
//! A schema comes from the best source that a type has:
//!
//! 1. its [`schemars::JsonSchema`], with descriptions, defaults and limits;
//! 2. for a request: its `Deserialize`, which is run over sample values ([`Schema::traced`]), so
//!    that a plain serde struct needs no further derive;
//! 3. otherwise [`Schema::any`], the schema that every JSON value fits.
//!
//! [`request_schema!`] takes a type and [`reply_schema!`] a function, whose return type need not be
//! nameable. Both choose the source by type with [autoref specialization], and both cost nothing
//! until they are evaluated.
//!
//! ```
//! # use futures_util::{Stream, stream};
//! use ppio_agent_schema::{ReplySchema, Schema, reply_schema, request_schema};
//!
//! #[derive(serde::Deserialize)]
//! struct Question {
//!     prompt: String,
//!     max_words: Option<u16>,
//! }
//!
//! async fn agent(question: Question) -> Result<impl Stream<Item = String>, std::io::Error> {
//!     # let _ = question.max_words;
//!     Ok(stream::iter(vec![question.prompt]))
//! }
//!
//! let request: Schema = request_schema!(Question);
//! assert_eq!(request.as_value()["required"], serde_json::json!(["prompt"]));
//! assert_eq!(request.as_value()["properties"]["max_words"]["maximum"], 65535);
//!
//! let ReplySchema::Items(item) = reply_schema!(agent) else { panic!("a stream has items") };
//! assert_eq!(item.as_value()["type"], "string");
//! ```
//!
//! # What the runtime does with it
//!
//! `ppio-agent` has the default features `schema` (this crate) and `playground` (the page, which
//! builds its form from a schema; it enables `schema`). With both off, neither is compiled.
//!
//! - `#[entrypoint]` registers one more function pointer besides the one that starts an invocation:
//!
//!   ```text
//!   schema: || EntrypointSchema { request: request_schema!(Question), reply: reply_schema!(agent) }
//!   ```
//!
//!   The macro always writes `schema: ppio::__private::entrypoint_schema!(agent, Question)`,
//!   because a macro cannot see which features the runtime has. `entrypoint_schema!` is the
//!   runtime's: with the feature `schema` it expands to the closure above, without the feature to a
//!   unit struct, which is then the type of the registered member.
//! - The builder's entrypoints are generic, so autoref specialization cannot see a type's derives.
//!   They register `Schema::traced::<T>` for the request and [`Schema::any`] for the reply;
//!   `InvocationRequest` is recognised by its `TypeId` and described by its `JsonSchema`.
//! - `GET /` in debug mode calls the pointer at the first request and keeps the result in a
//!   `OnceLock` of the agent. An invocation never reads it.
//! - `ppio-agent-protocol` derives `JsonSchema` for `InvocationRequest` under its own feature
//!   `schema`, which the runtime's feature `schema` enables.
//!
//! [2020-12]: https://json-schema.org/draft/2020-12
//! [autoref specialization]: https://github.com/dtolnay/case-studies/blob/master/autoref-specialization/README.md

mod autoref;
mod described;
mod reply;
mod schema;
mod trace;

pub use reply::{EitherReply, ReplySchema};
pub use schema::Schema;
/// The crate whose `JsonSchema` is looked for.
pub use schemars;

#[doc(hidden)]
pub mod __private {
    pub use crate::autoref::{FindReplySchema, FindRequestSchema, SchemaOf};
    pub use crate::reply::{
        AwaitedType, EnvelopedType, ReplyForm, SuccessType, WrittenItem, return_type,
    };
}
