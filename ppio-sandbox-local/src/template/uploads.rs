//! Files that a build's COPY steps refer to by their hash.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::archive::{self, ArchiveError};
use crate::identity;

/// The largest size of an uploaded archive, in bytes.
const MAX_UPLOAD: u64 = 1024 * 1024 * 1024;
/// The maximum number of unused links. At this number, all are dropped.
const MAX_LINKS: usize = 10_000;

#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error("the upload link is not valid, or was used already")]
    NoLink,
    #[error("the template that the upload is for was deleted")]
    NoTemplate,
    #[error("the upload is larger than {MAX_UPLOAD} bytes")]
    TooLarge,
    #[error("the upload was interrupted: {0}")]
    BrokeOff(String),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("failed to store the upload")]
    Io(#[from] io::Error),
}

/// The links for uploads, each valid until one upload has succeeded.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    links: Mutex<HashMap<String, PathBuf>>,
}

/// Returns the path at which the archive of a hash is kept.
pub(crate) fn archive_path(template_directory: &Path, hash: &str) -> PathBuf {
    template_directory.join("files").join(hash)
}

/// Whether `text` can be a hash, which is used as a file name.
pub(crate) fn is_hash(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl Uploads {
    /// Creates a link to which the archive of `hash` can be uploaded.
    pub(crate) fn link(&self, template_directory: &Path, hash: &str) -> String {
        let token = identity::secret();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= MAX_LINKS {
            links.clear();
        }
        links.insert(token.clone(), archive_path(template_directory, hash));
        token
    }

    /// Stores what is uploaded to a link, after the archive was checked.
    pub(crate) async fn store(&self, token: &str, body: Body) -> Result<(), UploadError> {
        let target = self
            .links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .cloned();
        let target = target.ok_or(UploadError::NoLink)?;
        let directory = target.parent().ok_or(UploadError::NoLink)?;
        // Does not create the directory above, which is gone if the template was deleted.
        match tokio::fs::create_dir(directory).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(gone(error)),
            _ => {}
        }
        let aside = TemporaryArchive(directory.join(format!(".{}", identity::short_id('u'))));
        receive(body, tokio::fs::File::create(&aside.0).await.map_err(gone)?).await?;
        let checked = aside.0.clone();
        tokio::task::spawn_blocking(move || archive::inspect(&checked))
            .await
            .map_err(io::Error::other)??;
        tokio::fs::rename(&aside.0, &target).await.map_err(gone)?;
        self.links
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(token);
        Ok(())
    }
}

fn gone(error: io::Error) -> UploadError {
    if error.kind() == io::ErrorKind::NotFound {
        UploadError::NoTemplate
    } else {
        UploadError::Io(error)
    }
}

async fn receive(body: Body, mut file: tokio::fs::File) -> Result<(), UploadError> {
    let mut size = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk.map_err(|error| UploadError::BrokeOff(error.to_string()))?;
        size += chunk.len() as u64;
        if size > MAX_UPLOAD {
            return Err(UploadError::TooLarge);
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(())
}

/// A temporary file, removed when dropped unless it was renamed.
struct TemporaryArchive(PathBuf);

impl Drop for TemporaryArchive {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
