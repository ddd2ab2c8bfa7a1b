//! Uploads to and downloads from a sandbox.

use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::write::GzDecoder;
use futures_util::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::Write as _;
use tokio::io::AsyncReadExt as _;

use super::file_metadata::FileMetadata;
use super::file_write::{FileWriter, blocking};
use crate::api::ApiError;
use crate::api::Parameters;
use crate::error::with_sources;
use crate::files::{ConfinedPath, LastLink, PathError};
use crate::sandbox::{LocalSandbox, user_environment};
use crate::template::unpacked_limit;

const READ_CHUNK: usize = 64 * 1024;
/// The number of compressed bytes that are unpacked in one step; they expand to up to a thousand
/// times as many bytes.
const PACKED_PIECE: usize = 4 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct FileQuery {
    path: Option<String>,
    #[serde(default)]
    username: String,
}

pub(super) async fn download(
    Extension(sandbox): Extension<Arc<LocalSandbox>>,
    Parameters(query): Parameters<FileQuery>,
) -> Result<Response, ApiError> {
    let path = query
        .path
        .as_deref()
        .ok_or_else(|| ApiError::bad_request("path is required"))?;
    let path = locate(&sandbox, &query.username, path).await?;
    let failed = |error: io::Error| io_error("read", &path, &error);
    let (files, opened) = (sandbox.sandbox_processes().files().clone(), path.clone());
    let opened = blocking(move || {
        let file = files.as_user(|| opened.open())?;
        let metadata = file.metadata()?;
        Ok((tokio::fs::File::from_std(file), metadata))
    });
    let (file, metadata) = opened.await.map_err(failed)?;
    if !metadata.is_file() {
        return Err(ApiError::bad_request(format!(
            "{} is not a file",
            path.inside.display()
        )));
    }
    // Files of /proc have no length.
    let limit = Some(metadata.len()).filter(|length| *length > 0);
    let mut file = file.take(limit.unwrap_or(u64::MAX));
    let mut first = Vec::with_capacity(READ_CHUNK);
    (&mut file)
        .take(READ_CHUNK as u64)
        .read_to_end(&mut first)
        .await
        .map_err(failed)?;
    // A program may truncate the file meanwhile; for a file of one chunk, the length that was read
    // is sent.
    let length = if first.len() < READ_CHUNK {
        Some(first.len() as u64)
    } else {
        limit
    };
    let chunks = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut buffer = vec![0; READ_CHUNK];
        let count = file.read(&mut buffer).await?;
        buffer.truncate(count);
        Ok::<_, io::Error>((count > 0).then(|| (Bytes::from(buffer), file)))
    });
    let chunks = futures_util::stream::iter([Ok(Bytes::from(first))]).chain(chunks);
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

pub(super) async fn upload(
    Extension(sandbox): Extension<Arc<LocalSandbox>>,
    Parameters(query): Parameters<FileQuery>,
    request: Request,
) -> Result<Json<Vec<Value>>, ApiError> {
    let is_form = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("multipart/form-data"));
    if is_form {
        return upload_form(&sandbox, &query, request).await;
    }
    let path = query
        .path
        .as_deref()
        .ok_or_else(|| ApiError::bad_request("path is required"))?;
    let metadata = FileMetadata::from_headers(request.headers())?;
    let gzip = is_gzip(request.headers())?;
    let path = locate(&sandbox, &query.username, path).await?;
    let chunks = request
        .into_body()
        .into_data_stream()
        .map(|chunk| chunk.map_err(io::Error::other));
    let metadata = store(&sandbox, &path, chunks, gzip, metadata).await?;
    Ok(Json(vec![written(&path, metadata)]))
}

async fn upload_form(
    sandbox: &Arc<LocalSandbox>,
    query: &FileQuery,
    request: Request,
) -> Result<Json<Vec<Value>>, ApiError> {
    let broken =
        |error: &dyn std::fmt::Display| ApiError::bad_request(format!("invalid form: {error}"));
    let gzip = is_gzip(request.headers())?;
    if gzip {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a form cannot be compressed: send the file itself",
        ));
    }
    let metadata = FileMetadata::from_headers(request.headers())?;
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| broken(&error.body_text()))?;
    let mut answers = Vec::new();
    while let Some(field) = form
        .next_field()
        .await
        .map_err(|error| broken(&error.body_text()))?
    {
        if field.name() != Some("file") {
            continue;
        }
        // If the query has no path, the file name of each field is its path.
        let name = field.file_name().map(str::to_owned);
        let path = query
            .path
            .clone()
            .or(name)
            .ok_or_else(|| ApiError::bad_request("path is required"))?;
        let path = locate(sandbox, &query.username, &path).await?;
        let chunks = field.map(|chunk| chunk.map_err(io::Error::other));
        let kept = store(sandbox, &path, chunks, false, metadata.clone()).await?;
        answers.push(written(&path, kept));
    }
    if answers.is_empty() {
        return Err(ApiError::bad_request("the form has no field `file`"));
    }
    Ok(Json(answers))
}

/// Writes a file in place and returns its metadata.
async fn store(
    sandbox: &LocalSandbox,
    path: &ConfinedPath,
    chunks: impl Stream<Item = io::Result<Bytes>>,
    gzip: bool,
    metadata: FileMetadata,
) -> Result<FileMetadata, ApiError> {
    let failed = |error: io::Error| io_error("write", path, &error);
    let processes = sandbox.sandbox_processes();
    let files = processes.files();
    let mut file = FileWriter::open(files, path).await.map_err(failed)?;
    let mut unpacking = gzip.then(Unpacking::default);
    let mut chunks = std::pin::pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::bad_request(format!("the upload was interrupted: {error}"))
        })?;
        match &mut unpacking {
            None => file.write(&chunk).await.map_err(failed)?,
            Some(unpacking) => {
                for piece in chunk.chunks(PACKED_PIECE) {
                    let unpacked = unpacking.unpack(piece)?;
                    file.write(&unpacked).await.map_err(failed)?;
                }
            }
        }
    }
    if let Some(unpacking) = unpacking {
        let unpacked = unpacking.finish()?;
        file.write(&unpacked).await.map_err(failed)?;
    }
    file.close(metadata).await.map_err(failed)
}

/// Decompresses an upload.
struct Unpacking {
    decoder: GzDecoder<Vec<u8>>,
    packed: u64,
    unpacked: u64,
}

impl Default for Unpacking {
    fn default() -> Self {
        Self {
            decoder: GzDecoder::new(Vec::new()),
            packed: 0,
            unpacked: 0,
        }
    }
}

impl Unpacking {
    fn unpack(&mut self, packed: &[u8]) -> Result<Vec<u8>, ApiError> {
        self.packed += packed.len() as u64;
        let written = self.decoder.write_all(packed);
        written.map_err(|error| not_gzip(&error))?;
        let unpacked = std::mem::take(self.decoder.get_mut());
        self.count(&unpacked)?;
        Ok(unpacked)
    }

    fn finish(mut self) -> Result<Vec<u8>, ApiError> {
        self.decoder
            .try_finish()
            .map_err(|error| not_gzip(&error))?;
        let unpacked = std::mem::take(self.decoder.get_mut());
        self.count(&unpacked)?;
        Ok(unpacked)
    }

    fn count(&mut self, unpacked: &[u8]) -> Result<(), ApiError> {
        self.unpacked += unpacked.len() as u64;
        if self.unpacked > unpacked_limit(self.packed) {
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the upload unpacks to more than {} bytes from {}: send it without compression",
                    unpacked_limit(self.packed),
                    self.packed
                ),
            ));
        }
        Ok(())
    }
}

fn not_gzip(error: &io::Error) -> ApiError {
    ApiError::bad_request(format!("the content is not gzip: {error}"))
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-encoding must be gzip or identity",
        )),
    }
}

async fn locate(
    sandbox: &Arc<LocalSandbox>,
    user: &str,
    path: &str,
) -> Result<ConfinedPath, ApiError> {
    let files = sandbox.sandbox_processes().files().clone();
    let environment = user_environment(user);
    let home = environment
        .get("HOME")
        .map_or("/", String::as_str)
        .to_owned();
    let path = path.to_owned();
    let located = tokio::task::spawn_blocking(move || {
        files.as_user(|| files.locate(&home, &path, LastLink::Follow))
    });
    match located.await {
        Ok(located) => located.map_err(|error: PathError| {
            let status = if error.is_denied() {
                StatusCode::FORBIDDEN
            } else {
                StatusCode::BAD_REQUEST
            };
            ApiError::new(status, with_sources(&error))
        }),
        Err(_) => Err(ApiError::internal("the call was interrupted")),
    }
}

fn written(path: &ConfinedPath, metadata: FileMetadata) -> Value {
    let name = path
        .inside
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let mut entry = json!({"name": name, "type": "file", "path": path.inside});
    if let Some(metadata) = metadata.into_json() {
        entry["metadata"] = metadata;
    }
    entry
}

fn io_error(doing: &str, path: &ConfinedPath, error: &io::Error) -> ApiError {
    let status = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NOT_FOUND,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StatusCode::FORBIDDEN
        }
        // The file is being executed.
        io::ErrorKind::ExecutableFileBusy => StatusCode::CONFLICT,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StatusCode::INSUFFICIENT_STORAGE
        }
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidFilename => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(
        status,
        format!("failed to {doing} {}: {error}", path.inside.display()),
    )
}
