//! Calls of the control plane that build templates.

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{Method, Uri};

use super::build::{BuildLogQuery, BuildStatus, BuildTicket, FileUpload, NewBuild, NewTemplate};
use super::client::ControlPlane;
use crate::error::Error;
use crate::platform::call::{Service, ServiceCall};
use crate::platform::error_response::Subject;
use crate::platform::identifiers::{self, segment};
use crate::transport::{Deadline, Idempotency, KeySupport, UploadMeter};

/// The transfer rate on which the time limit of an upload is based, in bytes per second.
const MIN_UPLOAD_RATE: u64 = 100_000;

fn build_path(template_id: &str, build_id: &str) -> Result<String, Error> {
    let id = segment("template_id", template_id)?;
    Ok(format!(
        "/templates/{id}/builds/{}",
        segment("build_id", build_id)?
    ))
}

/// Whether `url` is an http(s) URL without credentials.
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
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # use ppio_agent_client::platform::NewTemplate;
    /// # ppio_test_support::client_example!(async |client| {
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

    /// Returns whether the platform has the files with this hash, and the URL to upload them to.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
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
    /// # Errors
    /// [`Error::Validation`] if `url` is not an http(s) URL without credentials, and any other
    /// error of the upload: [`Error::Runtime`], [`Error::Network`], [`Error::Timeout`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
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

    /// Uploads like [`upload_files`](Self::upload_files), and calls `progress` with the number of
    /// bytes sent.
    ///
    /// Bytes count as sent when the connection buffers them, up to a few hundred kilobytes before
    /// they arrive. A retry starts from zero. `progress` is called every 16 KiB while sending, so
    /// it must not block.
    ///
    /// # Errors
    /// Those of [`upload_files`](Self::upload_files).
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = ppio_test_support::client_example_ticket!(client);
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
            // The storage is another server.
            key_support: KeySupport::default(),
            ..self.service.clone()
        };
        let transfer = Duration::from_secs(archive.len() as u64 / MIN_UPLOAD_RATE);
        let call = ServiceCall::new("upload files", Method::PUT, url)
            .bytes("application/gzip", archive)
            .meter(meter);
        let deadline = Deadline::after(self.service.timeout + transfer);
        storage.send_by(call, deadline).await.map(drop)
    }

    /// Starts the build of a ticket from [`create_template`](Self::create_template).
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # use ppio_agent_client::platform::NewBuild;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = ppio_test_support::client_example_ticket!(client);
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

    /// Returns the status of a build, and its log from line `logs_offset` on.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # use ppio_agent_client::platform::BuildPhase;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = ppio_test_support::client_example_ticket!(client);
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

    /// Returns the status of a build, and the selected part of its log.
    ///
    /// # Errors
    /// Those of [`build_status`](Self::build_status).
    ///
    /// ```
    /// # use ppio_agent_client::platform::BuildLogQuery;
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// # let ticket = ppio_test_support::client_example_ticket!(client);
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
