//! Names of templates, with or without a tag.

const MAX_LENGTH: usize = 128;

/// A template's name with an optional tag: `name` or `name:tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateName {
    pub(crate) name: String,
    pub(crate) tag: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a name: use 1 to {MAX_LENGTH} letters, digits, `-`, `_`, `.` and `/`, the first \
     a letter or a digit"
)]
pub(crate) struct NameError(String);

impl TemplateName {
    pub(crate) fn parse(text: &str) -> Result<Self, NameError> {
        let (name, tag) = match text.split_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (text, None),
        };
        Self::check_part(name)?;
        tag.map_or(Ok(()), Self::check_part)?;
        Ok(Self {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    /// Checks a name or a tag alone.
    pub(crate) fn check_part(text: &str) -> Result<(), NameError> {
        let starts_well = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
        if starts_well && plain && text.len() <= MAX_LENGTH {
            return Ok(());
        }
        let shown: String = text.chars().take(MAX_LENGTH).collect();
        Err(NameError(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_carry_a_tag() {
        let name = TemplateName::parse("team/my-agent:v1.2").unwrap();
        assert_eq!(
            (name.name.as_str(), name.tag.as_deref()),
            ("team/my-agent", Some("v1.2"))
        );
        assert_eq!(TemplateName::parse("agent").unwrap().tag, None);
        for bad in ["", ":v1", "a:", "../x", "a b", "a:b:c", &"x".repeat(200)] {
            assert!(TemplateName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
