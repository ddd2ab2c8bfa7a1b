//! Snapshots and forks of sandboxes. They copy files, not memory.
//!
//! A snapshot is a template; a fork is a sandbox created from a snapshot that is not kept. In both
//! cases the new sandbox runs the start command of the template again.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::sandbox_views;
use super::sandboxes::{change_error, checked_timeout, create_error, find};
use super::templates::store_error;
use crate::api::{ApiError, JsonBody, Parameters, PathParameters};
use crate::error::with_sources;
use crate::files::remove_directory;
use crate::identity;
use crate::sandbox::{LocalSandbox, SandboxRequest};
use crate::shared::Shared;
use crate::template::{
    BuildFailure, BuildState, DEFAULT_TAG, Recipe, RequestedBuild, TemplateName, TemplateRecord,
};

const MAX_FORKS: u32 = 100;
/// The timeout of forks whose request has none, in seconds.
const DEFAULT_TIMEOUT: u64 = 15;
const MAX_SNAPSHOTS: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct SnapshotRequest {
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ForkRequest {
    timeout: Option<u64>,
    count: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotQuery {
    #[serde(rename = "sandboxID")]
    sandbox_id: Option<String>,
    name: Option<String>,
    limit: Option<usize>,
    /// How many snapshots to skip.
    next_token: Option<usize>,
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<SnapshotRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let sandbox = find(&shared, &id)?;
    let (name, tag) = match request.name.as_deref().filter(|name| !name.is_empty()) {
        None => (identity::short_id('s'), None),
        Some(name) => {
            let parsed = TemplateName::parse(name);
            let parsed = parsed.map_err(|error| ApiError::bad_request(error.to_string()))?;
            (parsed.name, parsed.tag)
        }
    };
    let is_template = |record: TemplateRecord| record.snapshot_of.is_none();
    if shared.templates.find(&name).is_some_and(is_template) {
        return Err(ApiError::conflict(format!(
            "{name:?} is the name of a template: choose another name for the snapshot"
        )));
    }
    // Runs in its own task, which is not cancelled when the caller disconnects.
    let storing = tokio::spawn(async move {
        let staging = Staging::of(&shared, &sandbox).await?;
        let tag = tag.unwrap_or_else(|| DEFAULT_TAG.to_owned());
        let stored = store(&shared, &sandbox, &staging.root(), name, &tag);
        staging.remove().await;
        let record = stored?;
        Ok::<_, ApiError>((StatusCode::CREATED, Json(view(&record, &tag))))
    });
    storing
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?
}

/// Creates a template from the files in `root`.
fn store(
    shared: &Shared,
    sandbox: &LocalSandbox,
    root: &Path,
    name: String,
    tag: &str,
) -> Result<TemplateRecord, ApiError> {
    let image = sandbox.image(root.to_owned());
    let wanted = RequestedBuild {
        name,
        tags: vec![tag.to_owned()],
        cpu_count: image.cpu_count,
        memory_mb: image.memory_mb,
        metadata: shared
            .templates
            .find(&sandbox.template_id)
            .map(|template| template.metadata)
            .unwrap_or_default(),
        snapshot_of: Some(sandbox.id.clone()),
    };
    let templates = &shared.templates;
    let (record, build_id) = templates
        .add_build(wanted)
        .map_err(|error| store_error(&error))?;
    let recipe = Recipe::from(image);
    let finished = templates
        .begin(&record.id, &build_id)
        .and_then(|metadata| templates.finish(&record.id, &build_id, root, recipe, metadata));
    finished.map_err(|error| {
        let failure = BuildFailure {
            message: with_sources(&error),
            step: None,
        };
        // Only the first error is reported.
        let _ = templates.fail(&record.id, &build_id, failure);
        store_error(&error)
    })?;
    Ok(record)
}

/// Lists the snapshots, newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Parameters(query): Parameters<SnapshotQuery>,
) -> Result<([(&'static str, String); 1], Json<Vec<Value>>), ApiError> {
    let limit = query.limit.unwrap_or(MAX_SNAPSHOTS);
    if !(1..=MAX_SNAPSHOTS).contains(&limit) {
        let message = format!("limit must be 1 to {MAX_SNAPSHOTS}, not {limit}");
        return Err(ApiError::bad_request(message));
    }
    let wanted_sandbox = query.sandbox_id.as_deref().map(identity::without_client_id);
    let wanted = query
        .name
        .as_deref()
        .map(|name| match name.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (name, None),
        });
    let mut views = Vec::new();
    for record in shared.templates.list().iter().rev() {
        let Some(source) = &record.snapshot_of else {
            continue;
        };
        let is_named = wanted.is_none_or(|(name, _)| record.id == name || record.name == name);
        if !is_named || wanted_sandbox.is_some_and(|id| source != id) {
            continue;
        }
        for (tag, tagged) in &record.tags {
            let build = record.build(&tagged.build_id);
            let is_ready = build.is_some_and(|build| build.status == BuildState::Ready);
            let is_tagged = wanted.is_none_or(|(_, wanted)| wanted.is_none_or(|name| name == tag));
            if is_ready && is_tagged {
                views.push(view(record, tag));
            }
        }
    }
    let all = views.len();
    let skip = query.next_token.unwrap_or(0);
    let page: Vec<_> = views.into_iter().skip(skip).take(limit).collect();
    let shown = skip.saturating_add(page.len());
    let next = if shown < all {
        shown.to_string()
    } else {
        String::new()
    };
    Ok(([("x-next-token", next)], Json(page)))
}

fn view(record: &TemplateRecord, tag: &str) -> Value {
    json!({
        "snapshotID": format!("{}:{tag}", record.id),
        "names": [format!("{}:{tag}", record.name)],
    })
}

/// Returns one result per fork: the sandbox or its error.
pub(super) async fn fork(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<ForkRequest>,
) -> Result<(StatusCode, Json<Vec<Value>>), ApiError> {
    let timeout = checked_timeout(request.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let count = request.count.unwrap_or(1);
    if !(1..=MAX_FORKS).contains(&count) {
        let message = format!("count must be 1 to {MAX_FORKS}, not {count}");
        return Err(ApiError::bad_request(message));
    }
    let sandbox = find(&shared, &id)?;
    // Runs in its own task, which is not cancelled when the caller disconnects.
    let forking = tokio::spawn(async move {
        let staging = Staging::of(&shared, &sandbox).await?;
        let forks = (0..count).map(|_| {
            shared.sandboxes.create(SandboxRequest {
                prepare_next: false,
                template: sandbox.image(staging.root()),
                timeout,
                on_timeout: sandbox.lifetime().on_timeout,
                auto_resume: sandbox.auto_resume,
                metadata: sandbox.metadata.clone(),
                environment: BTreeMap::new(),
                ingress: sandbox.ingress.for_another(),
                network: sandbox.sandbox_processes().network(),
            })
        });
        let forks = futures_util::future::join_all(forks).await;
        staging.remove().await;
        let results = forks.iter().map(|fork| match fork {
            Ok(sandbox) => json!({"sandbox": sandbox_views::created(&shared, sandbox)}),
            Err(error) => {
                let error = create_error(error);
                json!({"error": {"code": error.status.as_u16(), "message": error.message}})
            }
        });
        Ok::<_, ApiError>((StatusCode::CREATED, Json(results.collect())))
    });
    forking
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?
}

/// A copy of the files of a sandbox, in a directory of the running platform.
struct Staging(PathBuf);

impl Staging {
    async fn of(shared: &Shared, sandbox: &LocalSandbox) -> Result<Self, ApiError> {
        let name = format!("copy-{}", identity::short_id('c'));
        let staging = Self(shared.sandboxes.run_directory().join(name));
        let private = DirBuilder::new().mode(0o700).create(&staging.0);
        private.map_err(|error| ApiError::internal(error.to_string()))?;
        match sandbox.copy_files(&staging.root()).await {
            Ok(()) => Ok(staging),
            Err(error) => {
                staging.remove().await;
                Err(change_error(&sandbox.id, &error))
            }
        }
    }

    fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    async fn remove(self) {
        let directory: &Path = &self.0;
        if let Err(error) = remove_directory(directory).await {
            tracing::warn!(%error, "failed to remove the copy of a sandbox");
        }
    }
}
