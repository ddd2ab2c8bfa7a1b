//! Headers for the agent.

use clap::Args;
use ppio_agent_client::http::{HeaderName, HeaderValue};

use crate::error::{CliError, ExitKind};

#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HeaderArguments {
    /// A header for the agent, such as `authorization: Bearer …`; may be repeated. A run that was
    /// started with an authorization is found only with the same one
    // Not parsed by clap, whose errors would print a secret.
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
}

impl HeaderArguments {
    pub(crate) fn is_empty(&self) -> bool {
        self.header.is_empty()
    }

    /// The headers.
    ///
    /// # Errors
    /// If a header is malformed. The text after the colon is not quoted, because this text may be a
    /// secret.
    pub(crate) fn parse(&self) -> Result<Vec<(HeaderName, HeaderValue)>, CliError> {
        let numbered = self.header.iter().zip(1..);
        let parsed = numbered.map(|(text, number)| {
            parse(text).map_err(|reason| {
                let message = format!("header {number} of the command line {reason}");
                CliError::new(ExitKind::Usage, message)
                    .help("write the header as in `-H 'authorization: Bearer …'`")
            })
        });
        parsed.collect()
    }
}

fn parse(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("has no colon after its name")?;
    let name = name.trim();
    let parsed = name.parse();
    let parsed = parsed.map_err(|_| format!("has a name that is not valid: {name:?}"))?;
    let value = HeaderValue::from_str(value.trim());
    let value =
        value.map_err(|_| format!("has a value with characters that are not valid: {name:?}"))?;
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[&str]) -> Result<Vec<(HeaderName, HeaderValue)>, CliError> {
        let header = headers.iter().map(|&header| header.to_owned()).collect();
        HeaderArguments { header }.parse()
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let parsed = of(&["Authorization: Bearer a:b ", "x-empty:"]).expect("valid");
        let parsed: Vec<_> = parsed
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect();
        assert_eq!(parsed, [("authorization", "Bearer a:b"), ("x-empty", "")]);
    }

    #[test]
    fn an_error_does_not_quote_the_value() {
        for (header, says) in [
            ("secret", "no colon"),
            ("a b: secret", "\"a b\""),
            (": secret", "\"\""),
            ("x-a: secret\nx-b: 1", "\"x-a\""),
        ] {
            let error = of(&["x-ok: 1", header]).expect_err(header);
            assert!(error.message.contains(says), "{}", error.message);
            assert!(error.message.contains("header 2"), "{}", error.message);
            assert!(!error.message.contains("secret"), "{}", error.message);
        }
    }
}
