//! One request and its response, as every layer above sees them.

pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod header_names;
pub(crate) mod json;
pub(crate) mod rejection;
pub(crate) mod request_headers;
pub(crate) mod request_id;
pub(crate) mod scoped_body;
