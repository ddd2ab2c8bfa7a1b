//! The user that a process of a sandbox runs as, by the name that its caller gave.

use std::collections::BTreeMap;

use crate::files::USER_HOME;

/// The users of every sandbox. All are the same user of the machine.
const USERS: [&str; 2] = ["user", "root"];

/// The error of a call that names a user that no sandbox has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid username: '{0}'")]
pub(crate) struct UnknownUser(String);

/// Checks the name of a user; an empty name stands for the default user.
pub(crate) fn check_user(name: &str) -> Result<(), UnknownUser> {
    if name.is_empty() || USERS.contains(&name) {
        return Ok(());
    }
    Err(UnknownUser(name.to_owned()))
}

/// Returns `HOME`, `USER` and `LOGNAME` for the user of a process. The name of a user selects only
/// these variables: every process of a sandbox runs as the same user of the machine.
pub(crate) fn user_environment(user: &str) -> BTreeMap<String, String> {
    let home = match user {
        "" | "user" => USER_HOME.to_owned(),
        "root" => "/root".to_owned(),
        other => format!("/home/{other}"),
    };
    let name = if user.is_empty() { "user" } else { user };
    [("HOME", home.as_str()), ("USER", name), ("LOGNAME", name)]
        .map(|(variable, value)| (variable.to_owned(), value.to_owned()))
        .into()
}
