//! Calls for one sandbox: create, detail, timeout, pause, resume, connect, kill.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use ppio_agent_protocol::headers::PPIO_IDEMPOTENCY;
use serde::Deserialize;
use serde_json::Value;

use super::network::{self, NetworkRequest};
use super::{sandbox_views, unsupported};
use crate::api::{AnswerOrigin, ApiError, JsonBody, PathParameters, idempotency_key};
use crate::error::with_sources;
use crate::identity::without_client_id;
use crate::sandbox::{
    ChangeError, CreateError, LocalSandbox, OnTimeout, PauseKind, SandboxIngress, SandboxPhase,
    SandboxRequest,
};
use crate::shared::Shared;
use crate::template::StoreError;

/// The timeout of a sandbox that is created without one, in seconds.
const DEFAULT_TIMEOUT: u64 = 15;
/// The longest timeout: a day, in seconds.
const MAX_TIMEOUT: u64 = 86_400;
/// The template with the programs of the MCP gateway, which SDKs request for the option `mcp`.
const MCP_GATEWAY: &str = "mcp-gateway";
/// The largest metadata, in bytes over all keys and values.
const MAX_METADATA: usize = 64 * 1024;
/// The largest environment, in bytes over all names and values. Linux allows 128 KiB per string.
const MAX_ENVIRONMENT: usize = 96 * 1024;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateRequest {
    #[serde(rename = "templateID")]
    template_id: String,
    timeout: Option<u64>,
    #[serde(default)]
    auto_pause: bool,
    auto_pause_memory: Option<bool>,
    auto_resume: Option<AutoResume>,
    #[serde(alias = "allow_internet_access")]
    allow_internet_access: Option<bool>,
    network: Option<NetworkRequest>,
    metadata: Option<BTreeMap<String, String>>,
    env_vars: Option<BTreeMap<String, String>>,
    /// Names of stored secrets by variable: `secret_envs` of the SDKs.
    #[serde(alias = "secretEnvs", alias = "secret_envs")]
    secrets: Option<Value>,
    iam: Option<Value>,
    volume_mounts: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
struct AutoResume {
    enabled: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct TimeoutRequest {
    timeout: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RefreshRequest {
    duration: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PauseRequest {
    memory: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResumeRequest {
    timeout: Option<u64>,
    auto_pause: Option<bool>,
    auto_pause_memory: Option<bool>,
}

/// Creates a sandbox, or returns the one that an earlier request with the same idempotency key
/// created.
///
/// `secure` in the request has no effect: the daemon of every sandbox requires the access token.
/// `mcp` has no effect either: clients start the MCP gateway themselves, with the value of `mcp` as
/// its arguments.
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, ApiError> {
    let key = idempotency_key(request.headers())?;
    let body = Bytes::from_request(request, &()).await?;
    let creation = create_sandbox(Arc::clone(&shared), body.clone());
    let (sandbox, origin) = match key {
        Some(key) => shared.creations.answer(key, &body, creation).await?,
        None => (creation.await?, AnswerOrigin::Own),
    };
    let mut response = (StatusCode::CREATED, Json(sandbox)).into_response();
    if origin == AnswerOrigin::Replayed {
        let name = HeaderName::from_static(PPIO_IDEMPOTENCY);
        let replayed = HeaderValue::from_static("replayed");
        response.headers_mut().insert(name, replayed);
    }
    Ok(response)
}

async fn create_sandbox(shared: Arc<Shared>, body: Bytes) -> Result<Value, ApiError> {
    let JsonBody(request) = JsonBody::parse(&body)?;
    let new = check(&shared, request)?;
    let template_id = new.template.template_id.clone();
    let sandbox = shared
        .sandboxes
        .create(new)
        .await
        .map_err(|error| create_error(&error))?;
    shared.templates.count_spawn(&template_id);
    Ok(sandbox_views::created(&shared, &sandbox))
}

fn check(shared: &Shared, request: CreateRequest) -> Result<SandboxRequest, ApiError> {
    if is_not_empty(request.secrets.as_ref()) {
        return Err(unsupported::not_supported(
            "variables from stored secrets (`secrets`)",
        ));
    }
    if is_not_empty(request.iam.as_ref().map(|iam| &iam["tokens"])) {
        return Err(unsupported::not_supported("workload identities (iam)"));
    }
    if request
        .volume_mounts
        .is_some_and(|mounts| !mounts.is_empty())
    {
        return Err(unsupported::not_supported("mounting volumes"));
    }
    let sandbox_network = network::choose(
        shared.sandboxes.networks(),
        request.allow_internet_access,
        request.network.as_ref(),
    )?;
    let ingress = match &request.network {
        Some(network) => network.ingress()?,
        None => SandboxIngress::default(),
    };
    let auto_resume = request.auto_resume.is_some_and(|resume| resume.enabled);
    let pause_kind = pause_kind(request.auto_pause_memory);
    if auto_resume && pause_kind == PauseKind::Files {
        return Err(ApiError::bad_request(
            "autoResume needs a pause that keeps memory: leave out autoPauseMemory, or send \
             autoResume as {\"enabled\": false}",
        ));
    }
    let metadata = request.metadata.unwrap_or_default();
    if size(&metadata) > MAX_METADATA {
        return Err(ApiError::bad_request(format!(
            "metadata is larger than {MAX_METADATA} bytes"
        )));
    }
    let environment = request.env_vars.unwrap_or_default();
    if let Some(name) = environment
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0'))
        .map(|(name, _)| name)
    {
        return Err(ApiError::bad_request(format!(
            "{name:?} cannot be an environment variable"
        )));
    }
    if size(&environment) > MAX_ENVIRONMENT {
        return Err(ApiError::bad_request(format!(
            "envVars are larger than {MAX_ENVIRONMENT} bytes"
        )));
    }
    let timeout = checked_timeout(request.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let template = shared
        .templates
        .image(&request.template_id)
        .map_err(|error| match error {
            StoreError::NotBuilt(_) => ApiError::conflict(error.to_string()),
            StoreError::NoTemplate(name) if name == MCP_GATEWAY => {
                unsupported::not_supported("the MCP gateway's template")
            }
            error => ApiError::not_found(with_sources(&error)),
        })?;
    Ok(SandboxRequest {
        prepare_next: true,
        template,
        timeout,
        on_timeout: if request.auto_pause {
            OnTimeout::Pause(pause_kind)
        } else {
            OnTimeout::Kill
        },
        auto_resume,
        metadata,
        environment,
        ingress,
        network: sandbox_network,
    })
}

/// Whether an optional object or array is given and not empty.
fn is_not_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Object(members)) => !members.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn pause_kind(memory: Option<bool>) -> PauseKind {
    match memory {
        Some(false) => PauseKind::Files,
        None | Some(true) => PauseKind::Memory,
    }
}

fn size(texts: &BTreeMap<String, String>) -> usize {
    texts
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum()
}

pub(super) fn create_error(error: &CreateError) -> ApiError {
    let status = match error {
        CreateError::TooMany { .. } | CreateError::NoPort => StatusCode::TOO_MANY_REQUESTS,
        CreateError::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, with_sources(error))
}

pub(super) async fn detail(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
) -> Result<Json<Value>, ApiError> {
    let sandbox = find(&shared, &id)?;
    Ok(Json(sandbox_views::detail(&shared, &sandbox)))
}

pub(super) async fn kill(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
) -> Result<StatusCode, ApiError> {
    match shared.sandboxes.kill(without_client_id(&id)).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT),
        Ok(false) => Err(not_found(&id)),
        Err(error) => Err(ApiError::internal(format!(
            "failed to end sandbox {id}: {error}"
        ))),
    }
}

pub(super) async fn set_timeout(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<TimeoutRequest>,
) -> Result<StatusCode, ApiError> {
    let timeout = checked_timeout(request.timeout)?;
    find(&shared, &id)?.set_timeout(timeout);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn refresh(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<RefreshRequest>,
) -> Result<StatusCode, ApiError> {
    let duration = checked_timeout(request.duration.unwrap_or(DEFAULT_TIMEOUT))?;
    find(&shared, &id)?.extend_timeout(duration);
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<PauseRequest>,
) -> Result<StatusCode, ApiError> {
    find(&shared, &id)?
        .pause(pause_kind(request.memory))
        .await
        .map_err(|error| change_error(&id, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<ResumeRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let timeout = checked_timeout(request.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let on_timeout = request.auto_pause.map(|pause| {
        if pause {
            OnTimeout::Pause(pause_kind(request.auto_pause_memory))
        } else {
            OnTimeout::Kill
        }
    });
    let sandbox = find(&shared, &id)?;
    sandbox
        .resume(timeout, on_timeout)
        .await
        .map_err(|error| change_error(&id, &error))?;
    Ok((
        StatusCode::CREATED,
        Json(sandbox_views::created(&shared, &sandbox)),
    ))
}

/// Accepts new rules for outgoing traffic only if they are the rules that already apply. Settings
/// for incoming requests are ignored.
pub(super) async fn set_network(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<NetworkRequest>,
) -> Result<StatusCode, ApiError> {
    let sandbox = find(&shared, &id)?;
    let network = sandbox.sandbox_processes().network();
    if request.allows_internet(None)? != network.has_internet() {
        return Err(unsupported::not_supported(
            "changing the network access of a running sandbox (set allowInternetAccess in the \
             request that creates it)",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Connects to a sandbox. A running one keeps at least its remaining time (status 200), a paused
/// one is resumed (201).
pub(super) async fn connect(
    State(shared): State<Arc<Shared>>,
    PathParameters(id): PathParameters<String>,
    JsonBody(request): JsonBody<ResumeRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let timeout = checked_timeout(request.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let sandbox = find(&shared, &id)?;
    let status = match sandbox.lifetime().phase {
        SandboxPhase::Paused => match sandbox.resume(timeout, None).await {
            Ok(()) => StatusCode::CREATED,
            // Another call resumed the sandbox first.
            Err(ChangeError::AlreadyRunning) => StatusCode::OK,
            Err(error) => return Err(change_error(&id, &error)),
        },
        _ => StatusCode::OK,
    };
    sandbox.extend_timeout(timeout);
    Ok((status, Json(sandbox_views::created(&shared, &sandbox))))
}

pub(super) fn checked_timeout(seconds: u64) -> Result<Duration, ApiError> {
    if seconds > MAX_TIMEOUT {
        return Err(ApiError::bad_request(format!(
            "timeout must be at most {MAX_TIMEOUT} s, not {seconds} s"
        )));
    }
    Ok(Duration::from_secs(seconds))
}

pub(super) fn find(shared: &Shared, id: &str) -> Result<Arc<LocalSandbox>, ApiError> {
    shared
        .sandboxes
        .get(without_client_id(id))
        .ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("sandbox {id} not found"))
}

pub(super) fn change_error(id: &str, error: &ChangeError) -> ApiError {
    match error {
        ChangeError::AlreadyPaused | ChangeError::AlreadyRunning => {
            ApiError::conflict(format!("{id}: {error}"))
        }
        ChangeError::Gone => not_found(id),
        ChangeError::Processes(_) | ChangeError::Copy(_) | ChangeError::Restart(_) => {
            ApiError::internal(format!("{id}: {}", with_sources(error)))
        }
    }
}
