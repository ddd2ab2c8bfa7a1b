//! Calls of the control plane for the tags of templates.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::ControlPlane;
use crate::error::Error;
use crate::platform::call::ServiceCall;
use crate::platform::error_response::Subject;
use crate::platform::identifiers::segment;
use crate::transport::Idempotency;

/// A tag and its build.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct TemplateTag {
    /// The tag.
    pub tag: String,
    /// The id of the build.
    #[serde(rename = "buildID")]
    pub build_id: String,
    /// When the tag was assigned, as RFC 3339.
    pub created_at: Option<String>,
}

impl ControlPlane {
    /// Adds tags to the build of `target` (`name:tag`).
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.assign_tags("my-agent:v2", &["stable"]).await?;
    /// # Ok(()) });
    /// ```
    pub async fn assign_tags(&self, target: &str, tags: &[&str]) -> Result<(), Error> {
        let call = ServiceCall::post("assign tags", "/templates/tags")
            .json(&json!({ "target": target, "tags": tags }))
            .about(Subject::Template(target.to_owned()))
            .idempotency(Idempotency::Safe);
        self.service.send(self.with_token(call)).await.map(drop)
    }

    /// Removes tags from the template with this name.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.remove_tags("my-agent", &["stable"]).await?;
    /// # Ok(()) });
    /// ```
    pub async fn remove_tags(&self, name: &str, tags: &[&str]) -> Result<(), Error> {
        let call = ServiceCall::new("remove tags", Method::DELETE, "/templates/tags")
            .json(&json!({ "name": name, "tags": tags }))
            .about(Subject::Template(name.to_owned()));
        self.service.send(self.with_token(call)).await.map(drop)
    }

    /// Lists the tags of a template.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// for tag in platform.list_tags("tmpl_1").await? {
    ///     println!("{}: build {}", tag.tag, tag.build_id);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_tags(&self, template_id: &str) -> Result<Vec<TemplateTag>, Error> {
        let path = format!("/templates/{}/tags", segment("template_id", template_id)?);
        let call =
            ServiceCall::get("list tags", path).about(Subject::Template(template_id.to_owned()));
        self.service.fetch(self.with_token(call)).await
    }
}
