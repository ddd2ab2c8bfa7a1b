//! Selects templates.

use super::agent_template::AgentTemplate;

/// Matches templates that have all tags and the name of the filter. An empty filter matches all.
#[derive(Debug, Default)]
pub(super) struct TemplateFilter {
    pub(super) tags: Vec<String>,
    pub(super) name: Option<String>,
}

impl TemplateFilter {
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
