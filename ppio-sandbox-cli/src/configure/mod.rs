//! `agent configure`.

mod fields;

use std::path::Path;

use anstyle::{AnsiColor, Style};
use ppio_agent_protocol::AgentName;
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use crate::arguments::ConfigureArguments;
use crate::configure::fields::{CONFIG_FIELDS, ConfigField};
use crate::error::{CliError, ExitKind};
use crate::project::AgentFile;
use crate::project::author;
use crate::project::edit::{self, Edit, NewValue};
use crate::signals::or_interrupted;
use crate::terminal::Terminal;
use crate::terminal::question::ask;
use crate::terminal::styled::Styled;

const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();

/// The agent's tags, for which there is a flag and no question.
const TAGS: &[&str] = &["metadata", "tags"];

/// The text of a new agent.yaml, before the values are set.
const NEW_FILE: &str = "apiVersion: v1\nkind: Agent\n";

pub(crate) async fn run(
    arguments: ConfigureArguments,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let mut file = AgentFile::find_or_new(&arguments.project.project, NEW_FILE)?;
    if !edit::is_readable(file.text()) {
        // Returns the error with its line.
        return file.parse().map(drop);
    }
    let changes = or_interrupted(changes(&file, &arguments, terminal)).await?;
    let text = edit::apply(file.text(), &changes).map_err(|error| {
        CliError::new(ExitKind::Usage, format!("cannot change {}", file.name()))
            .caused_by(&error)
            .help("change the file in an editor")
    })?;
    // Reports any other error in the file, with its line.
    file.with_text(text.clone()).parse()?;
    let difference = difference(file.on_disk(), &text);
    if difference.is_empty() {
        terminal.result(&json!({ "changed": false, "file": file.path() }), || {
            format!("{} is complete", file.name())
        });
        return Ok(());
    }
    terminal.styled_note(&difference);
    if !arguments.yes && terminal.is_interactive() {
        let question = format!("Write {}?", file.path().display());
        if !or_interrupted(terminal.confirm(&question)).await? {
            return Err(CliError::new(ExitKind::Usage, "nothing was written")
                .help("answer `y`, or use `--yes`"));
        }
    }
    file.write(text)?;
    let document = json!({
        "changed": true, "file": file.path(), "difference": difference.plain(),
    });
    terminal.result(&document, || format!("wrote {}", file.path().display()));
    Ok(())
}

/// Returns the changes from flags, and from prompts for values that are missing or not valid.
async fn changes(
    file: &AgentFile,
    arguments: &ConfigureArguments,
    terminal: &Terminal,
) -> Result<Vec<Edit>, CliError> {
    let mut changes = Vec::new();
    let mut missing = Vec::new();
    for field in &CONFIG_FIELDS {
        if let Some(value) = flag_value(field, arguments) {
            (field.check)(&value).map_err(|error| {
                CliError::new(ExitKind::Usage, format!("--{}: {error}", field.flag))
            })?;
            changes.push(field.change(&value));
            continue;
        }
        let present = edit::value_at(file.text(), field.path);
        if present
            .as_deref()
            .is_some_and(|value| (field.check)(value).is_ok())
        {
            continue;
        }
        if terminal.is_interactive() {
            let answer = ask_for(field, file).await?;
            if !answer.is_empty() {
                changes.push(field.change(&answer));
            }
        } else if field.required || present.is_some() {
            missing.push(field);
        }
    }
    if !arguments.tag.is_empty() {
        changes.push(Edit {
            path: TAGS,
            value: NewValue::Texts(arguments.tag.clone()),
        });
    }
    if missing.is_empty() {
        return Ok(changes);
    }
    let names: Vec<_> = missing.iter().map(|field| field.path.join(".")).collect();
    let flags: Vec<_> = missing
        .iter()
        .map(|field| format!("--{} …", field.flag))
        .collect();
    let message = format!("{} has no valid {}", file.name(), names.join(", "));
    Err(CliError::new(ExitKind::Usage, message)
        .cause("there is no terminal for a prompt")
        .help(format!("add {}", flags.join(" "))))
}

fn flag_value(field: &ConfigField, arguments: &ConfigureArguments) -> Option<String> {
    match field.flag {
        "name" => arguments.name.clone(),
        "agent-version" => arguments.agent_version.clone(),
        "author" => arguments.author.clone(),
        "description" => arguments.description.clone(),
        "entrypoint" => arguments.entrypoint.clone(),
        "timeout" => arguments.timeout.map(|seconds| seconds.to_string()),
        "memory" => arguments.memory.clone(),
        "cpu" => arguments.cpu.clone(),
        _ => None,
    }
}

async fn ask_for(field: &ConfigField, file: &AgentFile) -> Result<String, CliError> {
    let default = match field.flag {
        "name" => name_of_folder(file.folder()),
        "agent-version" => Some("0.1.0".to_owned()),
        "author" => author::from_git()
            .await
            .ok()
            .map(|author| author.to_string()),
        "entrypoint" => ["src/main.rs", "agent.py", "app.py", "main.py"]
            .into_iter()
            .find(|path| file.folder().join(path).is_file())
            .map(str::to_owned),
        _ => None,
    };
    let question = if field.required {
        field.question.to_owned()
    } else {
        format!("{} (Enter for none)", field.question)
    };
    ask(question, default, field.required, field.check).await
}

/// Returns the folder's name in lower case, with hyphens instead of underscores, spaces and dots;
/// `None` if this is not a valid agent name.
fn name_of_folder(folder: &Path) -> Option<String> {
    let name = folder
        .file_name()?
        .to_str()?
        .to_lowercase()
        .replace(['_', ' ', '.'], "-");
    name.parse::<AgentName>().ok().map(|_| name)
}

/// Returns the changed lines with two lines of context; empty if nothing changes.
fn difference(before: &str, after: &str) -> Styled {
    let diff = TextDiff::from_lines(before, after);
    let mut text = Styled::new();
    for (index, group) in diff.grouped_ops(2).iter().enumerate() {
        if index > 0 {
            text.push("\n  …");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end();
            if !text.is_empty() {
                text.push("\n");
            }
            match change.tag() {
                ChangeTag::Delete => text.push_styled(REMOVED, &format!("- {line}")),
                ChangeTag::Insert => text.push_styled(ADDED, &format!("+ {line}")),
                ChangeTag::Equal => text.push(&format!("  {line}")),
            }
        }
    }
    text
}
