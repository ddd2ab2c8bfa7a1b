//! HTTP/1.1 over TCP and TLS: connections, deadlines and retries, independent of agents.

mod body;
mod chunks;
mod connector;
mod deadline;
mod exchange;
mod key_support;
mod limit;
mod payload;
mod plain_http;
mod pool;
mod prepared_request;
mod proxy;
mod resolve;
mod retry;
mod retry_after;
mod tls;

pub(crate) use body::ResponseBody;
pub(crate) use chunks::Chunks;
pub(crate) use deadline::Deadline;
pub(crate) use exchange::Transport;
pub(crate) use key_support::{KeySupport, names_keys};
pub(crate) use limit::BodyLimit;
pub(crate) use payload::UploadMeter;
pub(crate) use prepared_request::PreparedRequest;
pub(crate) use proxy::Proxies;
pub(crate) use retry::{Idempotency, Retry, RetryPolicy, after_failure};
pub(crate) use retry_after::retry_after;
