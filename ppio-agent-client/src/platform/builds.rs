//! Calls of the control plane that build templates.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Uri};
use serde::{Deserialize, Deserializer, Serialize};

use super::call::{Service, ServiceCall};
use super::control_plane::ControlPlane;
use super::error_response::Subject;
use super::identifiers::{self, segment};
use super::sandbox::null_is_empty;
use crate::error::Error;
use crate::transport::{Deadline, Idempotency, UploadMeter};

/// The transfer rate that the time limit of an upload assumes, in bytes per second.
const MIN_UPLOAD_RATE: u64 = 100_000;

/// A template to create; [`NewBuild`] defines its contents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTemplate {
    /// Its name, with an optional tag: `my-agent` or `my-agent:v2`.
    pub name: String,
    /// Further tags of this build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The number of processors of its sandboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<u32>,
    /// Memory of its sandboxes, in mebibytes.
    #[serde(rename = "memoryMB", skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Its metadata, where the platform accepts it here; an agent's configuration is under
    /// `agent_runtime`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A created template and its build, which has not started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct BuildTicket {
    /// The template.
    #[serde(rename = "templateID")]
    pub template_id: String,
    /// The build.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// Its names.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// Its aliases.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub aliases: Vec<String>,
    /// The tags of this build.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Whether other accounts may use it.
    #[serde(default)]
    pub public: bool,
}

/// Whether the platform has the files of a step, and where to upload them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileUpload {
    /// Whether the platform has them.
    #[serde(default)]
    pub present: bool,
    /// Where to upload them.
    #[serde(default)]
    pub url: Option<String>,
}

/// The contents of a template.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewBuild {
    /// The container image to start from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_image: Option<String>,
    /// The template to start from, instead of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_template: Option<String>,
    /// The steps, in order.
    pub steps: Vec<BuildStep>,
    /// The command that every sandbox runs when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_cmd: Option<String>,
    /// The command that succeeds when the start command is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_cmd: Option<String>,
    /// Whether to ignore the cache.
    pub force: bool,
    /// The template's metadata, where the platform accepts it here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStep {
    /// The kind of the step.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// Its arguments, as in a Dockerfile.
    pub args: Vec<String>,
    /// The hash of its uploaded files, for `COPY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_hash: Option<String>,
    /// Whether to ignore the cache for this step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StepKind {
    /// Copy files.
    Copy,
    /// Run a command.
    Run,
    /// Set environment variables.
    Env,
    /// Change the working directory of later steps.
    Workdir,
    /// Change the user of later steps.
    User,
}

/// The status of a build.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BuildStatus {
    /// The phase.
    pub status: BuildPhase,
    /// The log from the requested offset on.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub log_entries: Vec<BuildLog>,
    /// The log as plain lines.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub logs: Vec<String>,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<BuildReason>,
}

/// Selects lines of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildLogQuery {
    /// The first line.
    pub offset: u64,
    /// The maximum number of lines.
    pub limit: Option<u32>,
    /// The lowest level: `debug`, `info`, `warn`, `error`.
    pub level: Option<String>,
}

/// The phase of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPhase {
    /// It has not started.
    Waiting,
    /// It is running.
    Building,
    /// It succeeded, and sandboxes can be created.
    Ready,
    /// It failed.
    Error,
    /// A phase that this version does not define.
    Other(String),
}

impl<'de> Deserialize<'de> for BuildPhase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "waiting" => Self::Waiting,
            "building" => Self::Building,
            "ready" => Self::Ready,
            "error" => Self::Error,
            _ => Self::Other(word),
        })
    }
}

/// A line of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildLog {
    /// The time, RFC 3339.
    pub timestamp: String,
    /// The level.
    pub level: String,
    /// The text.
    pub message: String,
    /// The step it belongs to.
    pub step: Option<String>,
}

/// Why a build failed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildReason {
    /// The error text.
    pub message: String,
    /// The step that failed.
    pub step: Option<String>,
}

fn build_path(template_id: &str, build_id: &str) -> Result<String, Error> {
    let id = segment("template_id", template_id)?;
    Ok(format!(
        "/templates/{id}/builds/{}",
        segment("build_id", build_id)?
    ))
}

/// Whether it is an http(s) URL without credentials.
fn is_web_address(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        let has_host = |authority: &Authority| {
            !authority.host().is_empty() && !authority.as_str().contains('@')
        };
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some_and(has_host)
    })
}

fn template(template_id: &str) -> Subject {
    Subject::Template(template_id.to_owned())
}

impl ControlPlane {
    /// Creates a template, or a new build of the template with this name.
    ///
    /// ```
    /// # use ppio_agent_client::platform::NewTemplate;
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// let ticket = platform
    ///     .create_template(&NewTemplate { name: "my-agent".into(), ..NewTemplate::default() })
    ///     .await?;
    /// # Ok(()) });
    /// ```
    pub async fn create_template(&self, template: &NewTemplate) -> Result<BuildTicket, Error> {
        let call = ServiceCall::post("create template", "/v3/templates")
            .json(template)
            .idempotency(Idempotency::IfRejected);
        let ticket: BuildTicket = self.service.fetch(self.with_token(call)).await?;
        let (template_id, build_id) = (&ticket.template_id, &ticket.build_id);
        identifiers::check_response_id("create template", "templateID", template_id)
            .and_then(|()| identifiers::check_response_id("create template", "buildID", build_id))
            .map_err(|error| self.service.auth.redact_error(error))?;
        Ok(ticket)
    }

    /// Whether the platform has the files with this hash, and where to upload them.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// let upload = platform.file_upload("tmpl_1", "0123abcd").await?;
    /// # Ok(()) });
    /// ```
    pub async fn file_upload(&self, template_id: &str, hash: &str) -> Result<FileUpload, Error> {
        let id = segment("template_id", template_id)?;
        let path = format!("/templates/{id}/files/{}", segment("hash", hash)?);
        let call = ServiceCall::get("prepare upload", path).about(template(template_id));
        let upload: FileUpload = self.service.fetch(self.with_token(call)).await?;
        if upload
            .url
            .as_deref()
            .is_some_and(|url| !is_web_address(url))
        {
            // The URL may contain a signature, so the error does not quote it.
            let message = "the response's url is not an http:// or https:// address";
            return Err(Error::protocol("prepare upload", message));
        }
        Ok(upload)
    }

    /// Uploads a `.tar.gz` to the URL from [`file_upload`](Self::file_upload). The API key is not
    /// sent, because the URL contains a signature. Redirects are not followed. The time limit grows
    /// with the size, by 1 s for each 100 kB.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// let upload = platform.file_upload("tmpl_1", "0123abcd").await?;
    /// if let Some(url) = upload.url.filter(|_| !upload.present) {
    ///     platform.upload_files(&url, b"the archive".to_vec()).await?;
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn upload_files(&self, url: &str, archive: impl Into<Bytes>) -> Result<(), Error> {
        self.upload(url, archive.into(), None).await
    }

    /// [`upload_files`](Self::upload_files) that calls `progress` with the number of bytes sent.
    ///
    /// Bytes count when they are written to the connection, a few hundred kilobytes before they
    /// arrive. A retry starts from zero. `progress` is called every few kilobytes while sending, so
    /// it must not block.
    ///
    /// ```
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = integration_tests::ticket(&client).await?;
    /// let upload = platform.file_upload(&ticket.template_id, "0123abcd").await?;
    /// if let Some(url) = upload.url.filter(|_| !upload.present) {
    ///     let archive = b"the archive".to_vec();
    ///     let size = archive.len();
    ///     let progress = move |sent| println!("{sent} of {size} bytes");
    ///     platform.upload_files_with_progress(&url, archive, progress).await?;
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn upload_files_with_progress(
        &self,
        url: &str,
        archive: impl Into<Bytes>,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let meter = Some(UploadMeter::new(progress));
        self.upload(url, archive.into(), meter).await
    }

    async fn upload(
        &self,
        url: &str,
        archive: Bytes,
        meter: Option<UploadMeter>,
    ) -> Result<(), Error> {
        if !is_web_address(url) {
            let message = "must be an http:// or https:// address without a user name or password";
            return Err(Error::validation("url", message));
        }
        let storage = Service {
            base: String::new(),
            headers: http::HeaderMap::new(),
            ..self.service.clone()
        };
        let transfer = Duration::from_secs(archive.len() as u64 / MIN_UPLOAD_RATE);
        let call = ServiceCall::new("upload files", Method::PUT, url)
            .bytes("application/gzip", archive)
            .meter(meter);
        let deadline = Deadline::after(self.service.timeout + transfer);
        storage.send_by(call, deadline).await.map(drop)
    }

    /// Starts the build of a ticket.
    ///
    /// ```
    /// # use ppio_agent_client::platform::NewBuild;
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = integration_tests::ticket(&client).await?;
    /// let build = NewBuild { from_image: Some("debian:stable".into()), ..NewBuild::default() };
    /// platform.start_build(&ticket.template_id, &ticket.build_id, &build).await?;
    /// # Ok(()) });
    /// ```
    pub async fn start_build(
        &self,
        template_id: &str,
        build_id: &str,
        build: &NewBuild,
    ) -> Result<(), Error> {
        let path = format!("/v2{}", build_path(template_id, build_id)?);
        let call = ServiceCall::post("start build", path)
            .json(build)
            .about(template(template_id))
            .idempotency(Idempotency::IfRejected);
        self.service.send(self.with_token(call)).await.map(drop)
    }

    /// The status of a build, and its log from line `logs_offset` on.
    ///
    /// ```
    /// # use ppio_agent_client::platform::BuildPhase;
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = integration_tests::ticket(&client).await?;
    /// let build = platform.build_status(&ticket.template_id, &ticket.build_id, 0).await?;
    /// println!("ready: {}", build.status == BuildPhase::Ready);
    /// # Ok(()) });
    /// ```
    pub async fn build_status(
        &self,
        template_id: &str,
        build_id: &str,
        logs_offset: u64,
    ) -> Result<BuildStatus, Error> {
        let query = BuildLogQuery {
            offset: logs_offset,
            ..BuildLogQuery::default()
        };
        self.build_status_with(template_id, build_id, &query).await
    }

    /// The status of a build, and the selected part of its log.
    ///
    /// ```
    /// # use ppio_agent_client::platform::BuildLogQuery;
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = integration_tests::ticket(&client).await?;
    /// let errors = BuildLogQuery { level: Some("error".into()), ..BuildLogQuery::default() };
    /// let (template, build) = (&ticket.template_id, &ticket.build_id);
    /// let build = platform.build_status_with(template, build, &errors).await?;
    /// for line in build.log_entries {
    ///     println!("{}", line.message);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn build_status_with(
        &self,
        template_id: &str,
        build_id: &str,
        query: &BuildLogQuery,
    ) -> Result<BuildStatus, Error> {
        let path = format!("{}/status", build_path(template_id, build_id)?);
        let call = ServiceCall::get("get build status", path)
            .query("logsOffset", query.offset.to_string())
            .query_if("limit", query.limit)
            .query_if("level", query.level.as_deref())
            .about(template(template_id));
        self.service.fetch(self.with_token(call)).await
    }
}
