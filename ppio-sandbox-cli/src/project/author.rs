//! The author's e-mail address.

use std::process::Stdio;

use ppio_agent_protocol::AuthorEmail;
use tokio::process::Command;

use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;
use crate::terminal::question::ask;

/// Git's `user.email`, or the answer to a question.
pub(crate) async fn find_or_ask(terminal: &Terminal) -> Result<AuthorEmail, CliError> {
    if let Some(author) = from_git().await {
        return Ok(author);
    }
    if !terminal.is_interactive() {
        return Err(CliError::new(ExitKind::Usage, "no author is given")
            .cause("git's `user.email` is not set to an e-mail address")
            .help("add `--author you@example.com`"));
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

/// Git's `user.email`; `None` without git.
pub(crate) async fn from_git() -> Option<AuthorEmail> {
    let output = Command::new("git")
        .args(["config", "user.email"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
