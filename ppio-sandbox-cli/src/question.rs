//! Questions to the person at the terminal.

use dialoguer::Input;
use dialoguer::theme::ColorfulTheme;

use crate::failure::Failure;

/// Asks until the answer passes the check. The start value is what Enter alone answers; without one, and where an answer
/// is not required, that answers nothing.
pub(crate) async fn ask(
    question: impl Into<String>,
    start: Option<String>,
    required: bool,
    check: fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    let question = question.into();
    // The terminal is read on a thread of its own, so that Ctrl-C is seen meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let theme = ColorfulTheme::default();
        let mut input = Input::<String>::with_theme(&theme)
            .with_prompt(question)
            .allow_empty(!required)
            .validate_with(|answer: &String| match answer.trim() {
                "" if !required => Ok(()),
                answer => check(answer),
            });
        if let Some(start) = start {
            input = input.default(start);
        }
        input.interact_text()
    });
    let answer = answer
        .await
        .map_err(|error| Failure::system("cannot ask", error))?
        .map_err(|error| Failure::system("cannot read the answer", error))?;
    Ok(answer.trim().to_owned())
}
