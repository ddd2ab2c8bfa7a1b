//! Reading and writing files in the sandbox.

use bytes::Bytes;
use http::{HeaderValue, header};
use serde::Deserialize;

use super::daemon::Envd;
use crate::core::random;
use crate::error::Error;
use crate::platform::call::ServiceCall;
use crate::transport::Idempotency;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct WrittenFile {
    /// The last part of the file's path.
    pub name: String,
    /// The file's kind: `file` or `dir`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The file's full path.
    pub path: String,
}

impl Envd {
    /// Reads a file into memory and returns its contents.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is [`Error::ResponseTooLarge`] if
    /// the file is larger than
    /// [`ClientConfig::max_response_size`](crate::ClientConfig::max_response_size).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// let hosts = envd.read_file("/etc/hosts").await?;
    /// # Ok(()) });
    /// ```
    pub async fn read_file(&self, path: &str) -> Result<Bytes, Error> {
        let call = ServiceCall::get("read file", "/files")
            .query("path", path)
            .query_if("username", self.user.as_deref());
        match self.service.send(call).await {
            Ok(response) => Ok(response.into_body()),
            Err(error) => Err(error.with_operation("read a file of", &self.sandbox_id)),
        }
    }

    /// Writes a file, replacing an existing file, and creates missing directories. Returns the
    /// written file as envd describes it.
    ///
    /// # Errors
    /// [`Error::SandboxOperation`], whose [`root`](Error::root) is the cause.
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let envd = ppio_test_support::client_example_envd!(client);
    /// envd.write_file("/tmp/note.txt", "hello").await?;
    /// # Ok(()) });
    /// ```
    pub async fn write_file(
        &self,
        path: &str,
        contents: impl Into<Bytes>,
    ) -> Result<Vec<WrittenFile>, Error> {
        let call = ServiceCall::post("write file", "/files")
            .query("path", path)
            .query_if("username", self.user.as_deref())
            .idempotency(Idempotency::Safe);
        let call = if self.raw_uploads {
            call.bytes("application/octet-stream", contents)
        } else {
            // 128 random bits, which the file does not contain.
            let boundary = random::hex();
            let body = form(&boundary, &contents.into());
            let content_type = format!("multipart/form-data; boundary={boundary}");
            let call = call.bytes("multipart/form-data", body);
            match HeaderValue::from_str(&content_type) {
                Ok(value) => call.header(header::CONTENT_TYPE, value),
                // Digits are valid in headers.
                Err(_) => call,
            }
        };
        let written = self.service.fetch(call).await;
        written.map_err(|error| error.with_operation("write a file of", &self.sandbox_id))
    }
}

/// Returns a multipart form with one file.
fn form(boundary: &str, contents: &[u8]) -> Bytes {
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"file\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let end = format!("\r\n--{boundary}--\r\n");
    Bytes::from([head.as_bytes(), contents, end.as_bytes()].concat())
}
