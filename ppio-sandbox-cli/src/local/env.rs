//! `local env`.

use crate::arguments::{EnvArguments, EnvSyntax};
use crate::error::CliError;
use crate::shell;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: EnvArguments, terminal: &Terminal) -> Result<(), CliError> {
    let variables = crate::platform::local::require_running()?.environment();
    terminal.result(&variables, || {
        let lines: Vec<_> = variables
            .iter()
            .map(|(name, value)| arguments.shell.line(name, value))
            .collect();
        lines.join("\n")
    });
    Ok(())
}

impl EnvSyntax {
    fn line(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}={}", shell::quoted(value)),
            Self::Fish => {
                let value = value.replace('\\', r"\\").replace('\'', r"\'");
                format!("set -gx {name} '{value}';")
            }
            Self::Dotenv => format!("{name}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_read_the_same_values() {
        let value = r#"it's $HOME `x` \ "y""#;
        let script = format!("{}; printf %s \"$V\"", EnvSyntax::Sh.line("V", value));
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
        assert_eq!(EnvSyntax::Fish.line("V", r"a\'b"), r"set -gx V 'a\\\'b';");
        assert_eq!(EnvSyntax::Dotenv.line("V", "a b"), "V=a b");
    }
}
