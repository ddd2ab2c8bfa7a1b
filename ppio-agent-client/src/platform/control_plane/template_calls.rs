//! Calls of the control plane for templates.

use serde::Deserialize;

use super::client::ControlPlane;
use super::pages::{PageLimit, next_token};
use super::template::{Template, TemplateAlias};
use crate::error::Error;
use crate::platform::call::ServiceCall;
use crate::platform::error_response::Subject;
use crate::platform::identifiers::{self, segment};
use crate::transport::Deadline;

/// A list of templates, which some platforms wrap in an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum TemplateList {
    Bare(Vec<Template>),
    Wrapped { templates: Vec<Template> },
}

impl ControlPlane {
    /// Lists all templates, or those of the team `team_id`, with their metadata.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// for template in platform.list_templates(None).await? {
    ///     println!("{} {:?}", template.template_id, template.names);
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn list_templates(&self, team_id: Option<&str>) -> Result<Vec<Template>, Error> {
        let call = ServiceCall::get("list templates", "/templates")
            .query("metadata", "true")
            .query_if("teamID", team_id);
        Ok(match self.service.fetch(self.with_token(call)).await? {
            TemplateList::Bare(templates) | TemplateList::Wrapped { templates } => templates,
        })
    }

    /// Returns one template with its builds, from all pages.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// println!("{} builds", platform.get_template("tmpl_1").await?.builds.len());
    /// # Ok(()) });
    /// ```
    pub async fn get_template(&self, template_id: &str) -> Result<Template, Error> {
        let operation = "get template";
        let path = format!("/templates/{}", segment("template_id", template_id)?);
        let deadline = Deadline::after(self.service.timeout);
        let mut pages = PageLimit::default();
        let mut whole: Option<Template> = None;
        let mut token: Option<String> = None;
        loop {
            let call = ServiceCall::get(operation, path.as_str())
                .query_if("nextToken", token.as_ref())
                .about(Subject::Template(template_id.to_owned()));
            let call = self.with_token(call);
            let response = self.service.send_by(call, deadline).await?;
            pages.add(operation, &response)?;
            let page: Template = self.service.read(operation, &response)?;
            let next = next_token(&response);
            // With a repeated page token, the list would never end.
            let is_last = next.is_none() || next == token;
            let template = match whole.take() {
                None => page,
                Some(mut template) => {
                    template.builds.extend(page.builds);
                    template
                }
            };
            if is_last {
                return Ok(template);
            }
            (whole, token) = (Some(template), next);
        }
    }

    /// Returns the template that an alias refers to.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if the template does not exist, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// println!("{}", platform.resolve_alias("my-agent").await?.template_id);
    /// # Ok(()) });
    /// ```
    pub async fn resolve_alias(&self, alias: &str) -> Result<TemplateAlias, Error> {
        let operation = "resolve template alias";
        let path = format!("/templates/aliases/{}", identifiers::name("alias", alias)?);
        let call = ServiceCall::get(operation, path).about(Subject::Template(alias.to_owned()));
        let found: TemplateAlias = self.service.fetch(self.with_token(call)).await?;
        identifiers::check_response_id(operation, "templateID", &found.template_id)
            .map_err(|error| self.service.auth.redact_error(error))?;
        Ok(found)
    }

    /// Deletes a template. Returns `false` if it was gone already.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// # let platform = client.platform();
    /// platform.delete_template("tmpl_1").await?;
    /// # Ok(()) });
    /// ```
    pub async fn delete_template(&self, template_id: &str) -> Result<bool, Error> {
        let path = format!("/templates/{}", segment("template_id", template_id)?);
        let call = ServiceCall::delete("delete template", path)
            .about(Subject::Template(template_id.to_owned()));
        match self.service.send(self.with_token(call)).await {
            Ok(_) => Ok(true),
            Err(Error::TemplateNotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
