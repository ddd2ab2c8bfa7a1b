//! Tags: names for the builds of a template.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::templates::{find, store_error};
use crate::api::ApiError;
use crate::api::JsonBody;
use crate::api::PathParameters;
use crate::clock::rfc3339;
use crate::shared::Shared;
use crate::template::{BuildState, StoreError, TagRecord, TemplateName};

#[derive(Debug, Deserialize)]
pub(super) struct AssignRequest {
    target: String,
    tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RemoveRequest {
    name: String,
    tags: Vec<String>,
}

pub(super) async fn assign(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<AssignRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let target = TemplateName::parse(&request.target)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    check_tags(&request.tags)?;
    let record = find(&shared, &target.name)?;
    let build_id = shared
        .templates
        .change(&record.id, |record| {
            let build = match &target.tag {
                None => record.current(),
                Some(tag) => record
                    .tags
                    .get(tag)
                    .and_then(|tagged| record.build(&tagged.build_id)),
            };
            let missing = || StoreError::NoTag {
                template: target.name.clone(),
                tag: target.tag.clone().unwrap_or_default(),
            };
            let build_id = build
                .filter(|build| build.status == BuildState::Ready)
                .ok_or_else(missing)?
                .id
                .clone();
            for tag in &request.tags {
                let tagged = TagRecord {
                    build_id: build_id.clone(),
                    created_at: SystemTime::now(),
                };
                record.tags.insert(tag.clone(), tagged);
            }
            Ok(build_id)
        })
        .map_err(|error| store_error(&error))?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"buildID": build_id, "tags": request.tags})),
    ))
}

pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    JsonBody(request): JsonBody<RemoveRequest>,
) -> Result<StatusCode, ApiError> {
    check_tags(&request.tags)?;
    let record = find(&shared, &request.name)?;
    shared
        .templates
        .change(&record.id, |record| {
            for tag in &request.tags {
                let missing = || StoreError::NoTag {
                    template: request.name.clone(),
                    tag: tag.clone(),
                };
                record.tags.remove(tag).ok_or_else(missing)?;
            }
            Ok(())
        })
        .map_err(|error| store_error(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
) -> Result<Json<Vec<Value>>, ApiError> {
    let record = find(&shared, &id)?;
    let tags = record.tags.iter().map(|(tag, tagged)| {
        json!({"tag": tag, "buildID": tagged.build_id, "createdAt": rfc3339(tagged.created_at)})
    });
    Ok(Json(tags.collect()))
}

fn check_tags(tags: &[String]) -> Result<(), ApiError> {
    if tags.is_empty() {
        return Err(ApiError::bad_request("at least one tag is required"));
    }
    tags.iter()
        .try_for_each(|tag| TemplateName::check_part(tag))
        .map_err(|error| ApiError::bad_request(error.to_string()))
}
