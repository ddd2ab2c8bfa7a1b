//! Uploads of the files that COPY steps refer to.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::templates::find;
use crate::api_error::ApiError;
use crate::parameters::PathParameters;
use crate::shared::Shared;
use crate::template::{ArchiveError, UploadError, archive_path, is_hash};

pub(super) async fn link(
    State(shared): State<Arc<Shared>>,
    PathParameters((id, hash)): PathParameters<(String, String)>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    if !is_hash(&hash) {
        return Err(ApiError::bad_request(
            "a file hash is 1 to 128 letters, digits, `-` and `_`",
        ));
    }
    let directory = shared.templates.path(&find(&shared, &id)?.id);
    let mut answer = json!({"present": archive_path(&directory, &hash).is_file()});
    if answer["present"] == false {
        // Under the name by which the caller reaches us, which may be that of a tunnel.
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .map(str::to_owned);
        let host = host.unwrap_or_else(|| shared.address.to_string());
        answer["url"] = json!(format!(
            "http://{host}/uploads/{}",
            shared.uploads.link(&directory, &hash)
        ));
    }
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn store(
    State(shared): State<Arc<Shared>>,
    PathParameters(token): PathParameters<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    shared
        .uploads
        .store(&token, body)
        .await
        .map(|()| StatusCode::OK)
        .map_err(|error| {
            let status = match &error {
                UploadError::NoLink => StatusCode::FORBIDDEN,
                UploadError::NoTemplate => StatusCode::NOT_FOUND,
                UploadError::TooLarge
                | UploadError::Archive(ArchiveError::TooLarge(_) | ArchiveError::TooMany) => {
                    StatusCode::PAYLOAD_TOO_LARGE
                }
                UploadError::BrokeOff(_)
                | UploadError::Archive(
                    ArchiveError::Malformed(_) | ArchiveError::Escape(_) | ArchiveError::Kind(_),
                ) => StatusCode::BAD_REQUEST,
                UploadError::Io(_) | UploadError::Archive(ArchiveError::Io(_)) => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            ApiError::new(status, error.to_string())
        })
}
