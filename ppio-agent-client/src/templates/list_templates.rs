//! The builder of a list of templates.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::agent_template::AgentTemplate;
use super::filter::TemplateFilter;
use crate::deferred::{Deferred, DeferredCall};
use crate::error::Error;
use crate::platform::ControlPlane;

/// Lists agent templates when awaited: all templates, or those with all of the tags and the name.
///
/// ```
/// # ppio_test_support::client_example!(async |client| {
/// let all = client.list_templates().await?;
/// let agents = client.list_templates().tags(["data-analysis", "ai"]).name("chat").await?;
/// # Ok(()) });
/// ```
///
/// # Panics
/// A method that sets an option panics after the first poll: the option would be ignored.
#[must_use = "does nothing until it is awaited"]
pub struct ListTemplates {
    call: Deferred<ListCall>,
}

struct ListCall {
    platform: ControlPlane,
    filter: TemplateFilter,
}

impl ListTemplates {
    pub(super) fn new(platform: ControlPlane) -> Self {
        let call = ListCall {
            platform,
            filter: TemplateFilter::default(),
        };
        Self {
            call: Deferred::new(call),
        }
    }

    /// Adds a tag that templates must have, ignoring the case of ASCII letters.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.call.set(|call| call.filter.tags.push(tag.into()));
        self
    }

    /// Adds tags, all of which templates must have, ignoring the case of ASCII letters.
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        let tags = tags.into_iter().map(Into::into);
        self.call.set(|call| call.filter.tags.extend(tags));
        self
    }

    /// Sets a text that the name or an alias must contain, ignoring case.
    pub fn name(mut self, part: impl Into<String>) -> Self {
        self.call.set(|call| call.filter.name = Some(part.into()));
        self
    }
}

impl DeferredCall for ListCall {
    type Output = Result<Vec<AgentTemplate>, Error>;

    async fn run(self) -> Self::Output {
        let all = self.platform.list_templates(None).await?;
        let templates = all.into_iter().map(AgentTemplate::from);
        Ok(templates
            .filter(|template| self.filter.matches(template))
            .collect())
    }
}

impl Future for ListTemplates {
    type Output = Result<Vec<AgentTemplate>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.get_mut().call).poll(cx)
    }
}

impl fmt::Debug for ListTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.call.options().map(|call| &call.filter);
        f.debug_struct("ListTemplates")
            .field("filter", &filter)
            .finish_non_exhaustive()
    }
}
