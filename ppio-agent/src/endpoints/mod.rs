//! The routes beside `POST /invocations`.

pub(crate) mod index;
pub(crate) mod metrics;
pub(crate) mod ping;
pub(crate) mod playground;
pub(crate) mod request_schema;
