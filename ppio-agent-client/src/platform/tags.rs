//! The control plane's calls about tags of templates.

use http::Method;
use serde_json::{Value, json};

use super::call::{Call, Subject, encode};
use super::control_plane::ControlPlane;
use crate::error::Error;
use crate::transport::Repeat;

impl ControlPlane {
    /// Gives the build that `target` (`name:tag`) stands for more tags.
    ///
    /// ```no_run
    /// # async fn run(platform: ppio_agent_client::platform::ControlPlane) -> Result<(), ppio_agent_client::Error> {
    /// platform.assign_tags("my-agent:v2", &["stable"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn assign_tags(&self, target: &str, tags: &[&str]) -> Result<(), Error> {
        let call = Call::post("assign tags", "/templates/tags")
            .json(&json!({ "target": target, "tags": tags }))
            .about(Subject::Template(target.to_owned()))
            .repeat(Repeat::Safe);
        self.service.send(self.with_token(call)).await.map(drop)
    }

    /// Takes tags away from the template of this name.
    ///
    /// ```no_run
    /// # async fn run(platform: ppio_agent_client::platform::ControlPlane) -> Result<(), ppio_agent_client::Error> {
    /// platform.remove_tags("my-agent", &["stable"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn remove_tags(&self, name: &str, tags: &[&str]) -> Result<(), Error> {
        let call = Call::new("remove tags", Method::DELETE, "/templates/tags")
            .json(&json!({ "name": name, "tags": tags }))
            .about(Subject::Template(name.to_owned()));
        self.service.send(self.with_token(call)).await.map(drop)
    }

    /// The tags of a template, as the platform describes them.
    ///
    /// ```no_run
    /// # async fn run(platform: ppio_agent_client::platform::ControlPlane) -> Result<(), ppio_agent_client::Error> {
    /// println!("{:?}", platform.list_tags("tmpl_1").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn list_tags(&self, template_id: &str) -> Result<Vec<Value>, Error> {
        let call = Call::get(
            "list tags",
            format!("/templates/{}/tags", encode(template_id)),
        )
        .about(Subject::Template(template_id.to_owned()));
        self.service.fetch(self.with_token(call)).await
    }
}
