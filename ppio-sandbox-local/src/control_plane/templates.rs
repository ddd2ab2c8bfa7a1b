//! Calls for templates: list, detail, update, delete.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{template_views, unsupported};
use crate::api::ApiError;
use crate::api::{JsonBody, Parameters, PathParameters};
use crate::error::with_sources;
use crate::shared::Shared;
use crate::template::{BuildRecord, BuildState, StoreError, TemplateRecord};

const MAX_BUILDS: usize = 100;
const MAX_TEMPLATES: usize = 100;

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
    let records = ready(&shared);
    let views = records.iter();
    Json(
        views
            .map(|record| template_views::template(record, query.metadata))
            .collect(),
    )
}

/// Returns the templates of [`list`] in pages.
pub(super) async fn pages(
    State(shared): State<Arc<Shared>>,
    Parameters(query): Parameters<BuildsQuery>,
) -> Result<([(&'static str, String); 1], Json<Vec<Value>>), ApiError> {
    let limit = query.limit.unwrap_or(MAX_TEMPLATES);
    if !(1..=MAX_TEMPLATES).contains(&limit) {
        let message = format!("limit must be 1 to {MAX_TEMPLATES}, not {limit}");
        return Err(ApiError::bad_request(message));
    }
    let skip = query.next_token.unwrap_or(0);
    let records = ready(&shared);
    let views = records.iter().skip(skip).take(limit);
    let views: Vec<_> = views
        .map(|record| template_views::template(record, true))
        .collect();
    let shown = skip.saturating_add(views.len());
    let next = if shown < records.len() {
        shown.to_string()
    } else {
        String::new()
    };
    Ok(([("x-next-token", next)], Json(views)))
}

#[derive(Debug, Deserialize)]
pub(super) struct UpdateRequest {
    #[serde(default)]
    public: bool,
}

/// Changes a template. Every template is private, so only `public: false` is accepted.
pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<UpdateRequest>,
) -> Result<Json<Value>, ApiError> {
    let record = find(&shared, &id)?;
    if request.public {
        return Err(unsupported::not_supported("publishing templates"));
    }
    Ok(Json(json!({"names": [record.name]})))
}

/// Returns the templates that can be used: those with a finished build, without the snapshots.
fn ready(shared: &Shared) -> Vec<TemplateRecord> {
    let is_ready = |build: &BuildRecord| build.status == BuildState::Ready;
    let mut records = shared.templates.list();
    records.retain(|record| record.snapshot_of.is_none() && record.builds.iter().any(is_ready));
    records
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
    let shown = skip.saturating_add(builds.len());
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
    // The id of a snapshot has a tag.
    let id = id.split_once(':').map_or(&*id, |(template, _)| template);
    shared
        .builder
        .delete(id)
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
