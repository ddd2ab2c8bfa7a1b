//! Files in the sandbox.

use bytes::Bytes;
use serde::Deserialize;

use super::super::call::Call;
use super::Envd;
use crate::error::Error;
use crate::transport::Repeat;

/// A file or directory that was written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// The last part of its path.
    pub name: String,
    /// `file` or `dir`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its whole path.
    pub path: String,
}

impl Envd {
    /// A file's contents, read whole into memory.
    ///
    /// ```no_run
    /// # async fn run(envd: ppio_agent_client::platform::Envd) -> Result<(), ppio_agent_client::Error> {
    /// let hosts = envd.read_file("/etc/hosts").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_file(&self, path: &str) -> Result<Bytes, Error> {
        let call = Call::get("read file", "/files").query("path", path);
        match self.service.send(call).await {
            Ok(response) => Ok(response.into_body()),
            Err(error) => Err(error.during("read a file of", &self.sandbox_id)),
        }
    }

    /// Writes a file, over an older one if there is one; directories on the way are made.
    ///
    /// ```no_run
    /// # async fn run(envd: ppio_agent_client::platform::Envd) -> Result<(), ppio_agent_client::Error> {
    /// envd.write_file("/tmp/note.txt", "hello").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_file(
        &self,
        path: &str,
        contents: impl Into<Bytes>,
    ) -> Result<Vec<Entry>, Error> {
        let call = Call::post("write file", "/files")
            .query("path", path)
            .bytes("application/octet-stream", contents)
            .repeat(Repeat::Safe);
        let written = self.service.fetch(call).await;
        written.map_err(|error| error.during("write a file of", &self.sandbox_id))
    }
}
