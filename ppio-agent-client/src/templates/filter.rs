//! Selects templates.

use super::agent_template::AgentTemplate;

/// Matches templates that have all of its tags and its name. An empty filter matches all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemplateFilter {
    tags: Vec<String>,
    name: Option<String>,
}

impl TemplateFilter {
    /// Matches all templates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tag that templates must have.
    ///
    /// ```
    /// let filter = ppio_agent_client::TemplateFilter::new().tag("ai").tag("data-analysis");
    /// # let _ = filter;
    /// ```
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Sets a text that the name or an alias must contain, ignoring case.
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
