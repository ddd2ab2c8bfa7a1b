//! Templates: list, look, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::template_views;
use crate::api::ApiError;
use crate::api::{Parameters, PathParameters};
use crate::error::with_sources;
use crate::shared::Shared;
use crate::template::{BuildState, StoreError, TemplateRecord};

const MAX_BUILDS: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    metadata: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildsQuery {
    limit: Option<usize>,
    /// How many builds to skip.
    next_token: Option<usize>,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Parameters(query): Parameters<ListQuery>,
) -> Json<Vec<Value>> {
    let records = shared.templates.list();
    // A template without a finished build cannot be used yet.
    let ready = records.iter().filter(|record| {
        record
            .builds
            .iter()
            .any(|build| build.status == BuildState::Ready)
    });
    Json(
        ready
            .map(|record| template_views::template(record, query.metadata))
            .collect(),
    )
}

pub(super) async fn detail(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    Parameters(query): Parameters<BuildsQuery>,
) -> Result<([(&'static str, String); 1], Json<Value>), ApiError> {
    let record = find(&shared, &id)?;
    let skip = query.next_token.unwrap_or(0);
    let limit = query.limit.unwrap_or(MAX_BUILDS).min(MAX_BUILDS);
    let builds: Vec<_> = record
        .builds
        .iter()
        .rev()
        .skip(skip)
        .take(limit)
        .map(template_views::build)
        .collect();
    let shown = skip + builds.len();
    let next = if shown < record.builds.len() {
        shown.to_string()
    } else {
        String::new()
    };
    let mut view = template_views::template(&record, true);
    view["builds"] = json!(builds);
    Ok(([("x-next-token", next)], Json(view)))
}

pub(super) async fn by_alias(
    State(shared): State<Arc<Shared>>,
    PathParameters(alias): PathParameters<String>,
) -> Result<Json<Value>, ApiError> {
    let record = find(&shared, &alias)?;
    Ok(Json(json!({"templateID": record.id, "public": false})))
}

pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
) -> Result<StatusCode, ApiError> {
    shared
        .builder
        .delete(&id)
        .await
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| store_error(&error))
}

pub(super) fn find(shared: &Shared, id: &str) -> Result<TemplateRecord, ApiError> {
    shared
        .templates
        .find(id)
        .ok_or_else(|| ApiError::not_found(format!("template '{id}' not found")))
}

pub(super) fn store_error(error: &StoreError) -> ApiError {
    let status = match error {
        StoreError::NoTemplate(_) | StoreError::NoTag { .. } | StoreError::NoBuild(_) => {
            StatusCode::NOT_FOUND
        }
        StoreError::NotBuilt(_) | StoreError::AlreadyStarted(_) => StatusCode::CONFLICT,
        StoreError::BuiltIn => StatusCode::FORBIDDEN,
        StoreError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, with_sources(error))
}
