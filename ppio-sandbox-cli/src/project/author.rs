//! The author's e-mail address.

use ppio_agent_protocol::{AuthorEmail, InvalidAuthorEmail};
use tokio::process::Command;

use crate::error::{CliError, ExitKind};
use crate::external_program::{ProgramError, stdout_of};
use crate::terminal::Terminal;
use crate::terminal::question::ask;

/// Returns git's `user.email`, otherwise the answer to a question.
pub(crate) async fn find_or_ask(terminal: &Terminal) -> Result<AuthorEmail, CliError> {
    let causes = match from_git().await {
        Ok(author) => return Ok(author),
        Err(causes) => causes,
    };
    if !terminal.is_interactive() {
        let error = CliError::new(ExitKind::Usage, "no author is given");
        let error = CliError { causes, ..error };
        return Err(error.help("add `--author you@example.com`"));
    }
    let answer = ask("Author's e-mail address", None, true, |text| {
        text.parse::<AuthorEmail>()
            .map(drop)
            .map_err(|error| error.to_string())
    });
    let answer = answer.await?;
    answer.parse().map_err(|error| {
        CliError::new(ExitKind::Usage, "the author is not valid").caused_by(&error)
    })
}

/// Returns git's `user.email`, or the reasons why it is missing or not valid.
pub(crate) async fn from_git() -> Result<AuthorEmail, Vec<String>> {
    let mut command = Command::new("git");
    command.args(["config", "user.email"]);
    match stdout_of(command).await {
        Ok(email) => email.trim().parse().map_err(|error| {
            let error: InvalidAuthorEmail = error;
            vec![format!("git's `user.email`: {error}")]
        }),
        // Git exits with 1 and prints nothing if the value is not set.
        Err(ProgramError::Failed { stderr, .. }) if stderr.is_empty() => {
            Err(vec!["git's `user.email` is not set".to_owned()])
        }
        Err(error) => {
            let error = error.to_error();
            Err([vec![error.message], error.causes].concat())
        }
    }
}
