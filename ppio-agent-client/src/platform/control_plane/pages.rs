//! Lists that the platform returns in pages.

use bytes::Bytes;
use http::Response;
use ppio_agent_protocol::headers;

use crate::error::Error;
use crate::transport::BodyLimit;

/// The size limit of all pages of one list together, in bytes.
const MAX_LIST: usize = 64 * 1024 * 1024;

/// Limits the total size of a list's pages: a platform could send pages without end.
#[derive(Debug, Default)]
pub(super) struct PageLimit(usize);

impl PageLimit {
    pub(super) fn add(&mut self, operation: &str, page: &Response<Bytes>) -> Result<(), Error> {
        self.0 = self.0.saturating_add(page.body().len());
        if self.0 > MAX_LIST {
            return Err(BodyLimit::fixed(MAX_LIST).exceeded(operation, "the whole list"));
        }
        Ok(())
    }
}

/// Returns the cursor of a list's next page, if there is one.
pub(super) fn next_token<B>(response: &Response<B>) -> Option<String> {
    let token = response.headers().get(headers::NEXT_TOKEN)?.to_str().ok()?;
    (!token.is_empty()).then(|| token.to_owned())
}
