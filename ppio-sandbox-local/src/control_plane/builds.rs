//! Calls for builds: request, start, status, logs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::build_steps::{self, StepRequest};
use super::template_views;
use super::templates::{find, store_error};
use crate::api::ApiError;
use crate::api::JsonBody;
use crate::api::{Parameters, PathParameters};
use crate::sandbox::SandboxLogLevel;
use crate::shared::Shared;
use crate::template::{
    BuildRecord, BuildRequest, BuildSource, BuildState, RequestedBuild, TemplateName,
};

const MAX_CPU: u32 = 64;
const MAX_MEMORY_MB: u32 = 256 * 1024;
const MAX_LINES: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateTemplateRequest {
    #[serde(alias = "alias")]
    name: String,
    #[serde(default)]
    tags: Option<Vec<String>>,
    cpu_count: Option<u32>,
    #[serde(rename = "memoryMB")]
    memory_mb: Option<u32>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBuildRequest {
    from_image: Option<String>,
    from_template: Option<String>,
    #[serde(default)]
    steps: Vec<StepRequest>,
    start_cmd: Option<String>,
    ready_cmd: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatusQuery {
    #[serde(default)]
    logs_offset: usize,
    limit: Option<usize>,
    level: Option<String>,
}

pub(super) async fn request(
    State(shared): State<Arc<Shared>>,
    JsonBody(new): JsonBody<CreateTemplateRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let name =
        TemplateName::parse(&new.name).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let mut tags: Vec<String> = name.tag.into_iter().collect();
    for tag in new.tags.unwrap_or_default() {
        TemplateName::check_part(&tag).map_err(|error| ApiError::bad_request(error.to_string()))?;
        tags.push(tag);
    }
    if tags.is_empty() {
        tags.push("default".into());
    }
    let cpu_count = new.cpu_count.unwrap_or(2);
    let memory_mb = new.memory_mb.unwrap_or(1024);
    if !(1..=MAX_CPU).contains(&cpu_count) || !(1..=MAX_MEMORY_MB).contains(&memory_mb) {
        let message = format!("cpuCount must be 1 to {MAX_CPU}, memoryMB 1 to {MAX_MEMORY_MB}");
        return Err(ApiError::bad_request(message));
    }
    let metadata = new.metadata.unwrap_or_default();
    let wanted = RequestedBuild {
        name: name.name,
        tags: tags.clone(),
        cpu_count,
        memory_mb,
        metadata,
        snapshot_of: None,
    };
    let (record, build_id) = shared
        .templates
        .add_build(wanted)
        .map_err(|error| store_error(&error))?;
    let answer = json!({
        "templateID": record.id,
        "buildID": build_id,
        "names": [record.name],
        "aliases": [record.name],
        "tags": tags,
        "public": false,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

pub(super) async fn start(
    State(shared): State<Arc<Shared>>,
    PathParameters((id, build_id)): PathParameters<(String, String)>,
    JsonBody(start): JsonBody<StartBuildRequest>,
) -> Result<StatusCode, ApiError> {
    let record = find(&shared, &id)?;
    find_build(&record.builds, &build_id)?;
    let source = match (
        start.from_template.filter(|template| !template.is_empty()),
        start.from_image,
    ) {
        (Some(template), _) => BuildSource::Template(template),
        (None, image) => BuildSource::Host {
            image: image.filter(|image| !image.is_empty()),
        },
    };
    let steps = start
        .steps
        .into_iter()
        .enumerate()
        .map(|(index, step)| build_steps::check(index, step));
    let request = BuildRequest {
        source,
        steps: steps.collect::<Result<_, _>>()?,
        start_command: start.start_cmd.filter(|command| !command.is_empty()),
        ready_command: start.ready_cmd.filter(|command| !command.is_empty()),
        metadata: start.metadata.unwrap_or_default(),
    };
    shared
        .builder
        .start(&record.id, &build_id, request)
        .map_err(|error| store_error(&error))?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn status(
    State(shared): State<Arc<Shared>>,
    PathParameters((id, build_id)): PathParameters<(String, String)>,
    Parameters(query): Parameters<StatusQuery>,
) -> Result<Json<Value>, ApiError> {
    // Reads the state first, so that the logs are at least as new as the state.
    let record = find(&shared, &id)?;
    let build = find_build(&record.builds, &build_id)?;
    let entries = entries(&shared, &build_id, &query)?;
    let lines: Vec<_> = entries
        .iter()
        .map(|entry| entry["message"].clone())
        .collect();
    let mut answer = json!({
        "templateID": record.id,
        "buildID": build_id,
        "status": build.status.as_str(),
        "logs": lines,
        "logEntries": entries,
    });
    if let (BuildState::Error, Some(failure)) = (build.status, &build.failure) {
        answer["reason"] =
            json!({"message": failure.message, "step": failure.step, "logEntries": []});
        if failure.step.is_none()
            && let Some(reason) = answer["reason"].as_object_mut()
        {
            reason.remove("step");
        }
    }
    Ok(Json(answer))
}

pub(super) async fn logs(
    State(shared): State<Arc<Shared>>,
    PathParameters((id, build_id)): PathParameters<(String, String)>,
    Parameters(query): Parameters<StatusQuery>,
) -> Result<Json<Value>, ApiError> {
    find_build(&find(&shared, &id)?.builds, &build_id)?;
    Ok(Json(json!({"logs": entries(&shared, &build_id, &query)?})))
}

fn entries(shared: &Shared, build_id: &str, query: &StatusQuery) -> Result<Vec<Value>, ApiError> {
    let least = match &query.level {
        None => SandboxLogLevel::Debug,
        Some(level) => SandboxLogLevel::parse(level).ok_or_else(|| {
            ApiError::bad_request(format!(
                "level must be debug, info, warn or error, not {level:?}"
            ))
        })?,
    };
    let entries = shared.builder.log(build_id).snapshot();
    let wanted = entries
        .iter()
        .filter(|entry| entry.level >= least)
        .skip(query.logs_offset);
    Ok(wanted
        .take(query.limit.unwrap_or(MAX_LINES).min(MAX_LINES))
        .map(template_views::log_entry)
        .collect())
}

fn find_build<'a>(builds: &'a [BuildRecord], id: &str) -> Result<&'a BuildRecord, ApiError> {
    builds
        .iter()
        .find(|build| build.id == id)
        .ok_or_else(|| ApiError::not_found(format!("build '{id}' not found")))
}
