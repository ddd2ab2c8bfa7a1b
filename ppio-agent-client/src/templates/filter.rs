//! Which templates to list.

use super::agent_template::AgentTemplate;

/// Lets through the templates that have all of its tags and its name. The empty one lets all through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateFilter {
    tags: Vec<String>,
    name: Option<String>,
}

impl TemplateFilter {
    /// Lets everything through.
    ///
    /// ```
    /// assert_eq!(ppio_agent_client::TemplateFilter::new(), Default::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Only templates with this tag; several calls ask for all of them.
    ///
    /// ```
    /// let filter = ppio_agent_client::TemplateFilter::new().tag("ai").tag("data-analysis");
    /// # let _ = filter;
    /// ```
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Only templates with this text in their name or an alias; case does not matter.
    ///
    /// ```
    /// let filter = ppio_agent_client::TemplateFilter::new().name("chat");
    /// # let _ = filter;
    /// ```
    pub fn name(mut self, part: impl Into<String>) -> Self {
        self.name = Some(part.into());
        self
    }

    pub(super) fn matches(&self, template: &AgentTemplate) -> bool {
        let has_tag = |tag: &String| {
            template
                .tags
                .iter()
                .any(|known| known.eq_ignore_ascii_case(tag))
        };
        let has_name = |part: &String| {
            let part = part.to_lowercase();
            let mut names = template.aliases.iter().chain([&template.name]);
            names.any(|name| name.to_lowercase().contains(&part))
        };
        self.tags.iter().all(has_tag) && self.name.iter().all(has_name)
    }
}
