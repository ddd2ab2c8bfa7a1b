//! Who writes the agent.

use std::process::Stdio;

use ppio_agent_protocol::AuthorEmail;
use tokio::process::Command;

use crate::error::{Failure, Fault};
use crate::terminal::Terminal;
use crate::terminal::question::ask;

/// Git's `user.email`; where there is none, the person is asked.
pub(crate) async fn find(terminal: &Terminal) -> Result<AuthorEmail, Failure> {
    if let Some(author) = of_git().await {
        return Ok(author);
    }
    if !terminal.can_ask() {
        return Err(Failure::new(Fault::Usage, "the author is not known")
            .reason("git has no `user.email` that is an e-mail address")
            .next("add `--author you@example.com`"));
    }
    let answer = ask("Author's e-mail address", None, true, |text| {
        text.parse::<AuthorEmail>()
            .map(drop)
            .map_err(|error| error.to_string())
    });
    let answer = answer.await?;
    answer
        .parse()
        .map_err(|error| Failure::new(Fault::Usage, "that is no author").because(&error))
}

/// What git knows; nothing where there is no git.
pub(crate) async fn of_git() -> Option<AuthorEmail> {
    let output = Command::new("git")
        .args(["config", "user.email"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
