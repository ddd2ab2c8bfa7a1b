//! The control plane's calls that build templates.

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
use crate::transport::{Deadline, Idempotency, Meter};

/// The slowest network that an upload is given the time for, in bytes a second.
const SLOWEST_UPLOAD: u64 = 100_000;

/// A template to be made; its contents come with [`NewBuild`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTemplate {
    /// Its name, perhaps with a tag: `my-agent` or `my-agent:v2`.
    pub name: String,
    /// More tags for this build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Processors of its sandboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_count: Option<u32>,
    /// Memory of its sandboxes, in mebibytes.
    #[serde(rename = "memoryMB", skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// Texts stored with it, where the platform takes them here; an agent's configuration goes under
    /// `agent_runtime`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A template and the build that waits for its contents.
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
    /// Other names that stand for it.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub aliases: Vec<String>,
    /// The tags of this build.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Whether others may use it.
    #[serde(default)]
    pub public: bool,
}

/// Whether the platform has the files of a step, and where to put them if not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileUpload {
    /// It has them.
    #[serde(default)]
    pub present: bool,
    /// Where to put them.
    #[serde(default)]
    pub url: Option<String>,
}

/// What a template is built from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewBuild {
    /// A container image to begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_image: Option<String>,
    /// Or another template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_template: Option<String>,
    /// What to do then, in order.
    pub steps: Vec<BuildStep>,
    /// The command that runs in every sandbox from its start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_cmd: Option<String>,
    /// The command that succeeds once the start command is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_cmd: Option<String>,
    /// Build everything anew, whatever is cached.
    pub force: bool,
    /// Texts stored with the template, where the platform takes them here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// One step of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildStep {
    /// What kind of step.
    #[serde(rename = "type")]
    pub kind: StepKind,
    /// Its arguments, as in a Dockerfile.
    pub args: Vec<String>,
    /// The hash under which its files were uploaded, for `COPY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_hash: Option<String>,
    /// Run it again, whatever is cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

/// The kinds of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StepKind {
    /// Put files in.
    Copy,
    /// Run a command.
    Run,
    /// Set environment variables.
    Env,
    /// Change the directory of the steps after it.
    Workdir,
    /// Change the user of the steps after it.
    User,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BuildStatus {
    /// The phase.
    pub status: BuildPhase,
    /// What it said since the offset that was asked for.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub log_entries: Vec<BuildLog>,
    /// The same as plain lines.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub logs: Vec<String>,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<BuildReason>,
}

/// Which lines of a build's log to return.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildLogQuery {
    /// From this line on.
    pub offset: u64,
    /// At most so many.
    pub limit: Option<u32>,
    /// Of this level and above: `debug`, `info`, `warn`, `error`.
    pub level: Option<String>,
}

/// The phases of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPhase {
    /// Not begun.
    Waiting,
    /// Under way.
    Building,
    /// Done: sandboxes can be made.
    Ready,
    /// Failed.
    Error,
    /// A word this version does not know.
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

/// One line of a build's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildLog {
    /// When, RFC 3339.
    pub timestamp: String,
    /// How grave.
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
    /// In words.
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

/// Whether files can be put there.
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
    /// Makes a template, or a new build of the one with this name.
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
        identifiers::answered_id("create template", "templateID", template_id)
            .and_then(|()| identifiers::answered_id("create template", "buildID", build_id))
            .map_err(|error| self.service.auth.redact_error(error))?;
        Ok(ticket)
    }

    /// Whether the files with this hash are there, and where to put them if not.
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
            // Not quoted: what stands in it may be a signature.
            let message = "the answer's url is not an http:// or https:// address";
            return Err(Error::protocol("prepare upload", message));
        }
        Ok(upload)
    }

    /// Puts a `.tar.gz` where [`file_upload`](Self::file_upload) said. The API key is not sent
    /// there: such URLs carry their own signature. A redirect is not followed. It may take longer
    /// than other calls: as long as it needs at 100 kB/s.
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

    /// [`upload_files`](Self::upload_files) that tells `progress` as it goes how many bytes are
    /// sent.
    ///
    /// What counts is what the connection has taken, which may be some hundred kilobytes more than
    /// what has arrived. When a connection breaks and the upload is tried again, the count starts
    /// again, too. `progress` is called every few kilobytes, in the midst of sending: it must not
    /// block.
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
        let meter = Some(Meter::new(progress));
        self.upload(url, archive.into(), meter).await
    }

    async fn upload(&self, url: &str, archive: Bytes, meter: Option<Meter>) -> Result<(), Error> {
        if !is_web_address(url) {
            let message = "must be an http:// or https:// address without a user name or password";
            return Err(Error::validation("url", message));
        }
        let storage = Service {
            base: String::new(),
            headers: http::HeaderMap::new(),
            ..self.service.clone()
        };
        let transfer = Duration::from_secs(archive.len() as u64 / SLOWEST_UPLOAD);
        let call = ServiceCall::new("upload files", Method::PUT, url)
            .bytes("application/gzip", archive)
            .meter(meter);
        let deadline = Deadline::after(self.service.timeout + transfer);
        storage.send_by(call, deadline).await.map(drop)
    }

    /// Starts the build that a ticket stands for.
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

    /// How far a build is, and its log from line `logs_offset` on.
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

    /// How far a build is, and the part of its log that is asked for.
    ///
    /// ```
    /// # use ppio_agent_client::platform::BuildLogQuery;
    /// # integration_tests::example(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = integration_tests::ticket(&client).await?;
    /// let errors = BuildLogQuery { level: Some("error".into()), ..BuildLogQuery::default() };
    /// let build = platform.build_status_with(&ticket.template_id, &ticket.build_id, &errors).await?;
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
