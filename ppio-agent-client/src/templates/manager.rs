//! Lists and finds agent templates.

use super::agent_template::AgentTemplate;
use super::list_templates::ListTemplates;
use crate::config::{AuthManager, ClientConfig};
use crate::error::Error;
use crate::platform::{ControlPlane, PlatformEndpoints, Template};
use crate::transport::{Proxies, Transport};

/// Finds agent templates. Every call sends requests; nothing is cached.
///
/// [`AgentRuntimeClient::templates`](crate::AgentRuntimeClient::templates) returns the manager of a
/// client. A manager works without a client as well:
///
/// ```no_run
/// use ppio_agent_client::{AuthManager, TemplateManager};
///
/// # async fn run() -> Result<(), ppio_agent_client::Error> {
/// let templates = TemplateManager::new(AuthManager::from_env()?)?;
/// for template in templates.list_templates().tags(["data-analysis", "ai"]).await? {
///     println!("{} {}", template.name, template.version);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TemplateManager {
    platform: ControlPlane,
}

impl TemplateManager {
    /// Creates a manager for the templates of the account that the API key belongs to, at the
    /// address from the environment.
    ///
    /// # Errors
    /// [`Error::Authentication`] if the API key of the environment and the address belong to
    /// different vendors; [`Error::Validation`] for an invalid variable.
    pub fn new(auth: AuthManager) -> Result<Self, Error> {
        Self::with_config(auth, &ClientConfig::default())
    }

    /// Creates a manager with the addresses and limits of a configuration. As for a client, fields
    /// that are not set are read from the environment.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), and [`Error::Validation`] for an invalid address or limit.
    pub fn with_config(auth: AuthManager, config: &ClientConfig) -> Result<Self, Error> {
        config.validate()?;
        let endpoints = PlatformEndpoints::resolve(config, &auth.environment()?)?;
        let proxies = Proxies::from_env();
        endpoints.check_proxy(&proxies)?;
        let transport = Transport::new(config, proxies);
        let platform = ControlPlane::new(transport, &endpoints, auth, config.timeout);
        Ok(Self::of(platform))
    }

    pub(crate) fn of(platform: ControlPlane) -> Self {
        Self { platform }
    }

    /// Lists the templates. Set tags and a name on the returned value, then await it.
    ///
    /// # Errors
    /// When awaited, any error of a call to the platform: [`Error::Authentication`],
    /// [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let chat = client.templates().list_templates().name("chat").await?;
    /// # Ok(()) });
    /// ```
    pub fn list_templates(&self) -> ListTemplates {
        ListTemplates::new(self.platform.clone())
    }

    /// Returns the template with this id, alias or name.
    ///
    /// # Errors
    /// [`Error::TemplateNotFound`] if there is no such template, and any other error of a call to
    /// the platform: [`Error::Authentication`], [`Error::RateLimit`], [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// let template = client.templates().get_template("tmpl_1").await?;
    /// println!("{} {}", template.name, template.version);
    /// # Ok(()) });
    /// ```
    pub async fn get_template(&self, template_id: &str) -> Result<AgentTemplate, Error> {
        // Only the list contains the metadata of templates, and only the response for a single
        // template contains its builds.
        let (found, single) = tokio::join!(
            self.find(template_id),
            self.platform.get_template(template_id)
        );
        let mut template = found?.ok_or_else(|| Error::TemplateNotFound {
            template: template_id.to_owned(),
            status: None,
        })?;
        match single {
            Ok(single) if single.template_id == template.template_id => {
                template.builds = single.builds;
            }
            // A name with an owner cannot be part of a path, but the id can.
            Err(Error::Validation { .. }) => {
                let single = self.platform.get_template(&template.template_id).await;
                template.builds = single.map(|single| single.builds).unwrap_or_default();
            }
            Ok(_) => {}
            Err(error) => {
                let error = error.report();
                tracing::debug!(template_id, %error, "cannot get the builds of a template");
            }
        }
        Ok(template.into())
    }

    /// Whether a template with this id, alias or name exists.
    ///
    /// # Errors
    /// Any error of a call to the platform: [`Error::Authentication`], [`Error::RateLimit`],
    /// [`Error::Network`], …
    ///
    /// ```
    /// # ppio_test_support::client_example!(async |client| {
    /// assert!(client.templates().template_exists("tmpl_1").await?);
    /// # Ok(()) });
    /// ```
    pub async fn template_exists(&self, template_id: &str) -> Result<bool, Error> {
        Ok(self.find(template_id).await?.is_some())
    }

    /// Finds a template in the list of all templates: only the list contains their metadata.
    pub(crate) async fn find(&self, wanted: &str) -> Result<Option<Template>, Error> {
        let mut all = self.platform.list_templates(None).await?;
        let by_id = all
            .iter()
            .position(|template| template.template_id == wanted);
        let found = by_id.or_else(|| {
            all.iter().position(|template| {
                let mut names = template.aliases.iter().chain(&template.names);
                names.any(|name| name == wanted)
            })
        });
        Ok(found.map(|index| all.swap_remove(index)))
    }
}
