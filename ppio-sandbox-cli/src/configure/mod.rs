//! `agent configure`.

mod fields;

use std::path::Path;

use anstyle::{AnsiColor, Style};
use ppio_agent_protocol::AgentName;
use serde_json::json;
use similar::{ChangeTag, TextDiff};

use crate::arguments::ConfigureArguments;
use crate::configure::fields::{FIELDS, Field};
use crate::error::{Failure, Fault};
use crate::project::AgentFile;
use crate::project::author;
use crate::project::edit::{self, Change};
use crate::signals::unless_interrupted;
use crate::terminal::Terminal;
use crate::terminal::question::ask;
use crate::terminal::styled::Styled;

const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();

/// What a file begins with that is not there yet.
const EMPTY: &str = "apiVersion: v1\nkind: Agent\n";

pub(crate) async fn run(arguments: ConfigureArguments, terminal: &Terminal) -> Result<(), Failure> {
    let mut file = AgentFile::find_or_new(&arguments.project.project, EMPTY)?;
    if !edit::is_readable(file.text()) {
        // Shows the place.
        return file.parse().map(drop);
    }
    let changes = unless_interrupted(changes(&file, &arguments, terminal)).await?;
    let text = edit::apply(file.text(), &changes).map_err(|error| {
        Failure::new(Fault::Usage, format!("cannot change {}", file.name()))
            .because(&error)
            .next("change it by hand, in any editor")
    })?;
    // What was wrong before and not asked about shows here, with its place.
    file.with_text(text.clone()).parse()?;
    let difference = difference(file.on_disk(), &text);
    if difference.is_empty() {
        terminal.result(&json!({ "changed": false, "file": file.path() }), || {
            format!("{} lacks nothing", file.name())
        });
        return Ok(());
    }
    terminal.styled_note(&difference);
    if !arguments.yes && terminal.can_ask() {
        let question = format!("Write {}?", file.path().display());
        if !unless_interrupted(terminal.confirm(&question)).await? {
            return Err(Failure::new(Fault::Usage, "nothing was written")
                .next("answer `y`, or give `--yes`"));
        }
    }
    file.write(text)?;
    let document = json!({
        "changed": true, "file": file.path(), "difference": difference.plain(),
    });
    terminal.result(&document, || format!("wrote {}", file.path().display()));
    Ok(())
}

/// What is to be set: by flags, and by answers for what is missing or wrong.
async fn changes(
    file: &AgentFile,
    arguments: &ConfigureArguments,
    terminal: &Terminal,
) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    let mut wanting = Vec::new();
    for field in &FIELDS {
        if let Some(value) = given(field, arguments) {
            (field.check)(&value).map_err(|error| {
                Failure::new(Fault::Usage, format!("--{}: {error}", field.flag))
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
        if terminal.can_ask() {
            let answer = answer(field, file).await?;
            if !answer.is_empty() {
                changes.push(field.change(&answer));
            }
        } else if field.required || present.is_some() {
            wanting.push(field);
        }
    }
    if wanting.is_empty() {
        return Ok(changes);
    }
    let names: Vec<_> = wanting.iter().map(|field| field.path.join(".")).collect();
    let flags: Vec<_> = wanting
        .iter()
        .map(|field| format!("--{} …", field.flag))
        .collect();
    let what = format!("{} lacks {}", file.name(), names.join(", "));
    Err(Failure::new(Fault::Usage, what)
        .reason("there is no terminal to ask at")
        .next(format!("give {}", flags.join(" "))))
}

fn given(field: &Field, arguments: &ConfigureArguments) -> Option<String> {
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

async fn answer(field: &Field, file: &AgentFile) -> Result<String, Failure> {
    let start = match field.flag {
        "name" => named_like(file.folder()),
        "agent-version" => Some("0.1.0".to_owned()),
        "author" => author::of_git().await.map(|author| author.to_string()),
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
    ask(question, start, field.required, field.check).await
}

/// The folder's name, if an agent may have it.
fn named_like(folder: &Path) -> Option<String> {
    let name = folder
        .file_name()?
        .to_str()?
        .to_lowercase()
        .replace(['_', ' ', '.'], "-");
    name.parse::<AgentName>().ok().map(|_| name)
}

/// What goes and what comes, a line each, with a little around it; empty if it is the same.
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
