//! An agent with shared state: notes, read before the agent listens and written when it ends.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use ppio::State;

/// The notes and the file in which they are kept.
struct Notebook {
    file: PathBuf,
    notes: Mutex<Vec<String>>,
}

/// Reads the notes, once. If an existing file cannot be read, the process ends with the error.
#[ppio::startup]
fn open() -> io::Result<Notebook> {
    let file = std::env::var_os("NOTES").unwrap_or_else(|| "notes.txt".into());
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    Ok(Notebook {
        file: file.into(),
        notes: Mutex::new(text.lines().map(str::to_owned).collect()),
    })
}

/// Takes a note, and returns all of them.
#[ppio::entrypoint]
async fn agent(note: String, notebook: State<Notebook>) -> Vec<String> {
    let mut notes = notebook
        .notes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    notes.push(note.replace('\n', " "));
    notes.clone()
}

/// Writes the notes to the file, after the last request.
#[ppio::shutdown]
fn save(notebook: &State<Notebook>) -> io::Result<()> {
    let notes = notebook
        .notes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    fs::write(&notebook.file, notes.join("\n"))
}

#[cfg(test)]
mod tests {
    use ppio::AgentRuntimeApp;
    use ppio::testing::TestAgent;

    use super::*;

    #[tokio::test]
    async fn a_note_is_added() {
        // The startup function does not run.
        let notebook = Notebook {
            file: PathBuf::new(),
            notes: Mutex::new(vec!["milk".to_owned()]),
        };
        let app = AgentRuntimeApp::annotated().unwrap();
        let agent = TestAgent::new(app.with_state(notebook).unwrap());
        let reply = agent.invoke("bread").await;
        assert_eq!(reply.value::<Vec<String>>().await, ["milk", "bread"]);
    }
}
