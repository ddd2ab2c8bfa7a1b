//! Stores answers by idempotency key: a repeated request gets the answer to the first one.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use ppio_agent_protocol::headers::IDEMPOTENCY_KEY;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::ApiError;

/// The longest idempotency key, in bytes.
const MAX_KEY: usize = 255;
/// The maximum number of answers that are kept. At this number, the oldest finished answer is
/// removed to make room for another.
const MAX_ANSWERS: usize = 1000;
/// The time for which an answer is kept, from the start of its request. Clients repeat a request
/// within seconds.
const LIFETIME: Duration = Duration::from_secs(600);

/// The answers to the latest requests with an idempotency key. Errors are not kept: the request had
/// no effect and may be repeated.
#[derive(Debug, Default)]
pub(crate) struct IdempotentAnswers(Arc<Mutex<HashMap<String, Entry>>>);

type Answer = Result<Value, ApiError>;

/// A request and its answer.
#[derive(Debug)]
struct Entry {
    body: [u8; 32],
    began_at: Instant,
    /// `None` until the request is answered.
    answer: watch::Receiver<Option<Answer>>,
}

/// Whether the work was done for this request or for an earlier request with the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerOrigin {
    Own,
    Replayed,
}

/// Returns the idempotency key of a request. `None` if the request has none.
///
/// # Errors
///
/// Status 400 if the request has several keys, or the key is empty, longer than [`MAX_KEY`] or not
/// ASCII.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        if headers.contains_key(IDEMPOTENCY_KEY) {
            let message = "there are two idempotency keys: send one";
            return Err(ApiError::bad_request(message));
        }
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::bad_request(format!(
            "an idempotency key must be 1 to {MAX_KEY} visible ASCII characters"
        ))),
    }
}

impl IdempotentAnswers {
    /// Returns the answer to the first request with this idempotency key. The first request runs
    /// `work` in a task of its own, which continues if the caller disconnects.
    ///
    /// # Errors
    ///
    /// Status 422 if the first request had a different body; 500 if the work panicked; otherwise
    /// the error of the work.
    pub(crate) async fn answer(
        &self,
        key: String,
        body: &[u8],
        work: impl Future<Output = Answer> + Send + 'static,
    ) -> Result<(Value, AnswerOrigin), ApiError> {
        let body: [u8; 32] = Sha256::digest(body).into();
        let (mut answer, origin) = {
            let mut entries = lock(&self.0);
            remove_old(&mut entries);
            match entries.get(&key) {
                Some(entry) if entry.body != body => {
                    return Err(ApiError::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "the idempotency key was used for another request: send a new key",
                    ));
                }
                Some(entry) => (entry.answer.clone(), AnswerOrigin::Replayed),
                None => {
                    let (sender, answer) = watch::channel(None);
                    let entry = Entry {
                        body,
                        began_at: Instant::now(),
                        answer: answer.clone(),
                    };
                    entries.insert(key.clone(), entry);
                    let attempt = Attempt {
                        entries: Arc::clone(&self.0),
                        key,
                        sender,
                    };
                    tokio::spawn(attempt.run(work));
                    (answer, AnswerOrigin::Own)
                }
            }
        };
        let answered = answer.wait_for(Option::is_some).await;
        let answer = answered.ok().and_then(|answer| answer.clone());
        match answer {
            Some(answer) => answer.map(|answer| (answer, origin)),
            None => Err(ApiError::internal("the request was not completed")),
        }
    }
}

/// The work for the first request with an idempotency key.
struct Attempt {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    key: String,
    sender: watch::Sender<Option<Answer>>,
}

impl Attempt {
    async fn run(self, work: impl Future<Output = Answer>) {
        let answer = work.await;
        self.sender.send_replace(Some(answer));
    }
}

impl Drop for Attempt {
    /// Removes the idempotency key unless the work has succeeded.
    fn drop(&mut self) {
        if !matches!(&*self.sender.borrow(), Some(Ok(_))) {
            lock(&self.entries).remove(&self.key);
        }
    }
}

/// Removes expired answers. If at least [`MAX_ANSWERS`] entries remain, also removes the oldest
/// finished one.
fn remove_old(entries: &mut HashMap<String, Entry>) {
    let is_running = |entry: &Entry| entry.answer.borrow().is_none();
    entries.retain(|_, entry| is_running(entry) || entry.began_at.elapsed() < LIFETIME);
    if entries.len() < MAX_ANSWERS {
        return;
    }
    let ended = entries.iter().filter(|(_, entry)| !is_running(entry));
    let oldest = ended.min_by_key(|(_, entry)| entry.began_at);
    if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
        entries.remove(&oldest);
    }
}

fn lock(entries: &Mutex<HashMap<String, Entry>>) -> MutexGuard<'_, HashMap<String, Entry>> {
    entries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;

    async fn send(
        answers: &IdempotentAnswers,
        key: &str,
        body: &str,
        answer: Answer,
    ) -> Result<(Value, AnswerOrigin), (u16, String)> {
        let sent = answers.answer(key.to_owned(), body.as_bytes(), ready(answer));
        sent.await
            .map_err(|error| (error.status.as_u16(), error.message))
    }

    #[tokio::test]
    async fn a_success_is_kept_and_an_error_is_not() {
        let answers = IdempotentAnswers::default();
        let busy = Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy"));
        assert_eq!(send(&answers, "k", "{}", busy).await.unwrap_err().0, 429);
        let first = send(&answers, "k", "{}", Ok(json!(1))).await.unwrap();
        assert_eq!(first, (json!(1), AnswerOrigin::Own));
        let again = send(&answers, "k", "{}", Ok(json!(2))).await.unwrap();
        assert_eq!(again, (json!(1), AnswerOrigin::Replayed));
        assert_eq!(
            send(&answers, "k", "{} ", Ok(json!(2)))
                .await
                .unwrap_err()
                .0,
            422
        );
        let other = send(&answers, "l", "{}", Ok(json!(2))).await.unwrap();
        assert_eq!(other, (json!(2), AnswerOrigin::Own));
    }

    #[tokio::test]
    async fn answers_are_bounded_and_running_requests_stay() {
        let answers = IdempotentAnswers::default();
        let running = answers.answer("running".to_owned(), b"", pending());
        assert!(running.now_or_never().is_none());
        for number in 0..=MAX_ANSWERS {
            send(&answers, &number.to_string(), "", Ok(json!(number)))
                .await
                .unwrap();
        }
        assert_eq!(lock(&answers.0).len(), MAX_ANSWERS);
        assert!(lock(&answers.0).contains_key("running"));
        let oldest = send(&answers, "0", "", Ok(json!("anew"))).await.unwrap();
        assert_eq!(oldest, (json!("anew"), AnswerOrigin::Own));
        let newest = MAX_ANSWERS.to_string();
        let newest = send(&answers, &newest, "", Ok(json!("anew")));
        assert_eq!(newest.await.unwrap().1, AnswerOrigin::Replayed);
    }

    #[test]
    fn keys_are_validated() {
        let headers = |keys: &[&str]| {
            keys.iter()
                .map(|key| {
                    let name = axum::http::HeaderName::from_static(IDEMPOTENCY_KEY);
                    (name, key.parse().unwrap())
                })
                .collect::<Vec<_>>()
        };
        let read = |keys: &[&str]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers(keys) {
                map.append(name, value);
            }
            idempotency_key(&map)
        };
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["a b"]).unwrap().as_deref(), Some("a b"));
        let longest = "k".repeat(MAX_KEY);
        assert_eq!(read(&[&longest]).unwrap(), Some(longest));
        for keys in [
            &[""][..],
            &["k".repeat(MAX_KEY + 1).as_str()],
            &["é"],
            &["a", "a"],
        ] {
            assert_eq!(read(keys).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }
}
