//! Templates and builds as JSON in responses of the control plane.

use serde_json::{Value, json};

use super::sandbox_views::{DISK_MB, ENVD_VERSION};
use crate::clock::{from_unix_seconds, rfc3339};
use crate::sandbox::SandboxLogLine;
use crate::template::{BuildRecord, BuildState, STEP_FIELD, TemplateRecord};

pub(super) fn template(record: &TemplateRecord, with_metadata: bool) -> Value {
    let current = record.current().or(record.builds.last());
    let mut view = json!({
        "templateID": record.id,
        "buildID": current.map(|build| build.id.as_str()).unwrap_or_default(),
        "names": [record.name],
        "aliases": [record.name],
        "tags": record.tags.keys().collect::<Vec<_>>(),
        "cpuCount": record.cpu_count,
        "memoryMB": record.memory_mb,
        "diskSizeMB": DISK_MB,
        "public": false,
        "createdAt": rfc3339(record.created_at),
        "updatedAt": rfc3339(record.updated_at),
        "createdBy": null,
        "lastSpawnedAt": record.last_spawned_unix.map(|seconds| rfc3339(from_unix_seconds(seconds))),
        "spawnCount": record.spawn_count,
        "buildCount": record.builds.len(),
        "envdVersion": ENVD_VERSION,
        "buildStatus": current.map_or(BuildState::Waiting, |build| build.status).as_str(),
    });
    if with_metadata {
        view["metadata"] = json!(record.metadata);
    }
    view
}

pub(super) fn build(build: &BuildRecord) -> Value {
    let finished = matches!(build.status, BuildState::Ready | BuildState::Error);
    json!({
        "buildID": build.id,
        "status": build.status.as_str(),
        "createdAt": rfc3339(build.created_at),
        "updatedAt": rfc3339(build.updated_at),
        "finishedAt": finished.then(|| rfc3339(build.updated_at)),
        "cpuCount": build.cpu_count,
        "memoryMB": build.memory_mb,
        "diskSizeMB": build.disk_mb,
        "envdVersion": ENVD_VERSION,
    })
}

pub(super) fn log_entry(entry: &SandboxLogLine) -> Value {
    let mut view = json!({"timestamp": rfc3339(entry.time), "level": entry.level.as_str(), "message": entry.message});
    if let Some(step) = entry.fields.get(STEP_FIELD) {
        view[STEP_FIELD] = step.as_str().into();
    }
    view
}
