//! The user that a process of a sandbox runs as, by the name that its caller gave.

use std::collections::BTreeMap;

use crate::files::USER_HOME;

/// The variables that depend on the user of a process. A user's name only selects the home
/// directory: everything in a sandbox runs as one user of the machine.
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
