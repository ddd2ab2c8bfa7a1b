//! Routes that the author adds to the agent's own routes and that share its state.

use std::sync::{Mutex, PoisonError};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use ppio::State;

/// The notes that the agent answers from.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) -> usize {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
        notes.len() - 1
    }

    fn get(&self, number: usize) -> Option<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(number).cloned()
    }

    fn find(&self, word: &str) -> Vec<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = notes.iter().filter(|note| note.contains(word));
        found.cloned().collect()
    }
}

#[derive(serde::Deserialize)]
struct Question {
    prompt: String,
}

#[ppio::startup]
fn open() -> Notes {
    Notes::default()
}

#[ppio::entrypoint]
async fn agent(question: Question, notes: State<Notes>) -> Vec<String> {
    notes.find(&question.prompt)
}

#[ppio::routes]
fn routes(notes: State<Notes>) -> Router {
    let (reader, writer) = (notes.clone(), notes);
    Router::new()
        .route(
            "/notes",
            post(async move |note: String| (StatusCode::CREATED, Json(writer.add(note)))),
        )
        .route(
            "/notes/{number}",
            get(async move |Path(number): Path<usize>| {
                reader.get(number).ok_or(StatusCode::NOT_FOUND)
            }),
        )
}
