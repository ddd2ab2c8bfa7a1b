//! Sandboxes as JSON in responses of the control plane.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::identity::CLIENT_ID;
use crate::sandbox::{LocalSandbox, MetricSample, OnTimeout, SandboxLogLine, SandboxPhase};
use crate::shared::Shared;

/// The version of the daemon, by which clients choose the features that they use.
pub(super) const ENVD_VERSION: &str = "0.6.4";
/// The disk size in responses, in MiB: that of the cloud's smallest sandboxes. The local platform
/// does not limit the disk.
pub(super) const DISK_MB: u64 = 10 * 1024;

pub(super) fn created(shared: &Shared, sandbox: &LocalSandbox) -> Value {
    json!({
        "sandboxID": sandbox.id,
        "templateID": sandbox.template_id,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
        "alias": sandbox.alias,
        "domain": shared.domain(),
        "envdAccessToken": sandbox.access_token,
        "trafficAccessToken": sandbox.ingress.traffic_token,
    })
}

pub(super) fn detail(shared: &Shared, sandbox: &LocalSandbox) -> Value {
    let lifetime = sandbox.lifetime();
    let mut detail = created(shared, sandbox);
    let more = json!({
        "state": if lifetime.phase == SandboxPhase::Paused { "paused" } else { "running" },
        "startedAt": rfc3339(sandbox.started_at),
        "endAt": rfc3339(lifetime.end_at),
        "cpuCount": sandbox.cpu_count,
        "memoryMB": sandbox.memory_mb,
        "diskSizeMB": DISK_MB,
        "metadata": sandbox.metadata,
        "allowInternetAccess": sandbox.sandbox_processes().network().has_internet(),
        "lifecycle": {
            "onTimeout": if lifetime.on_timeout == OnTimeout::Kill { "kill" } else { "pause" },
            "autoResume": sandbox.auto_resume,
        },
    });
    if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more) {
        detail.extend(more);
    }
    detail
}

/// Returns a sandbox as an item of a list, without its two access tokens.
pub(super) fn listed(shared: &Shared, sandbox: &LocalSandbox) -> Value {
    let mut listed = detail(shared, sandbox);
    if let Value::Object(fields) = &mut listed {
        fields.remove("envdAccessToken");
        fields.remove("trafficAccessToken");
    }
    listed
}

pub(super) fn log_entry(entry: &SandboxLogLine) -> Value {
    json!({
        "timestamp": rfc3339(entry.time),
        "level": entry.level.as_str(),
        "message": entry.message,
        "fields": entry.fields,
    })
}

pub(super) fn metric(sandbox: &LocalSandbox, sample: MetricSample) -> Value {
    json!({
        "timestamp": rfc3339(sample.time),
        "timestampUnix": crate::clock::unix_seconds(sample.time),
        "cpuCount": sandbox.cpu_count,
        "cpuUsedPct": (sample.cpu_used_percent * 100.0).round() / 100.0,
        "memUsed": sample.memory_bytes,
        "memTotal": u64::from(sandbox.memory_mb) * 1024 * 1024,
        "memCache": 0,
        "diskUsed": sample.disk_bytes,
        "diskTotal": DISK_MB * 1024 * 1024,
    })
}
