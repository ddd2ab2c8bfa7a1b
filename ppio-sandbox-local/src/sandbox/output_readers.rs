//! The readers of a process's output. Each has a bounded buffer and a deadline: a reader that stops
//! reading delays the others and the process until its deadline, and is then removed.

use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The maximum number of events that are buffered for one reader.
const BUFFERED_EVENTS: usize = 64;
/// The longest time for which a reader with a full buffer may stop reading if it is the only one.
/// The process waits during this time. Every reader has this time to make room for the end of the
/// process.
const LONE_READER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time for which a reader with a full buffer may stop reading while other readers wait
/// for it.
const SHARED_READER_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputChannel {
    Stdout,
    Stderr,
    Pty,
}

impl OutputChannel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Pty => "pty",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum OutputEvent {
    Data(OutputChannel, Bytes),
    End(ExitStatus),
}

#[derive(Debug)]
pub(super) struct OutputReaders {
    state: Mutex<ReadersState>,
    /// The number of readers.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct ReadersState {
    readers: Vec<OutputReader>,
    next_id: u64,
    end: Option<ExitStatus>,
}

#[derive(Debug, Clone)]
struct OutputReader {
    id: u64,
    events: mpsc::Sender<OutputEvent>,
}

impl Default for OutputReaders {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }
}

impl OutputReaders {
    /// Adds a reader of the output from now on. After the process has ended, the reader receives
    /// only [`OutputEvent::End`].
    ///
    /// The events end without [`OutputEvent::End`] if the reader was removed because it did not
    /// read.
    pub(super) fn subscribe(&self) -> mpsc::Receiver<OutputEvent> {
        let (events, receiver) = mpsc::channel(BUFFERED_EVENTS);
        self.change(|state| {
            if let Some(status) = state.end {
                // The buffer is empty.
                let _ = events.try_send(OutputEvent::End(status));
                return;
            }
            let id = state.next_id;
            state.next_id += 1;
            state.readers.push(OutputReader { id, events });
        });
        receiver
    }

    /// Sends an event to every reader. Waits for those whose buffer is full, and removes those that
    /// do not read in time.
    pub(super) async fn send(&self, event: &OutputEvent) {
        let mut full = Vec::new();
        self.change(|state| {
            state
                .readers
                .retain(|reader| match reader.events.try_send(event.clone()) {
                    Ok(()) => true,
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        full.push(reader.clone());
                        true
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => false,
                });
        });
        let waits = full.iter().map(|reader| self.wait_for(reader, event));
        futures_util::future::join_all(waits).await;
    }

    /// Sends the end to every reader and removes them all.
    pub(super) async fn end(&self, status: ExitStatus) {
        let mut readers = Vec::new();
        self.change(|state| {
            state.end = Some(status);
            readers = std::mem::take(&mut state.readers);
        });
        let sends = readers.iter().map(|reader| {
            let sent = reader.events.send(OutputEvent::End(status));
            tokio::time::timeout(LONE_READER_TIMEOUT, sent)
        });
        futures_util::future::join_all(sends).await;
    }

    async fn wait_for(&self, reader: &OutputReader, event: &OutputEvent) {
        let full_since = Instant::now();
        let mut count = self.count.subscribe();
        let mut room = std::pin::pin!(reader.events.reserve());
        loop {
            let timeout = match *count.borrow_and_update() {
                0 | 1 => LONE_READER_TIMEOUT,
                _ => SHARED_READER_TIMEOUT,
            };
            tokio::select! {
                room = &mut room => {
                    match room {
                        Ok(room) => room.send(event.clone()),
                        Err(_) => self.remove(reader.id),
                    }
                    return;
                }
                () = tokio::time::sleep_until(full_since + timeout) => {
                    self.remove(reader.id);
                    return;
                }
                _ = count.changed() => {}
            }
        }
    }

    fn remove(&self, id: u64) {
        self.change(|state| state.readers.retain(|reader| reader.id != id));
    }

    fn change(&self, change: impl FnOnce(&mut ReadersState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let count = state.readers.len();
        self.count
            .send_if_modified(|old| std::mem::replace(old, count) != count);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn data(number: usize) -> OutputEvent {
        OutputEvent::Data(OutputChannel::Stdout, Bytes::from(number.to_string()))
    }

    /// Returns the data that a reader gets, and whether its events end with the end of the process.
    async fn rest(mut events: mpsc::Receiver<OutputEvent>) -> (usize, bool) {
        let mut count = 0;
        while let Some(event) = events.recv().await {
            match event {
                OutputEvent::Data(..) => count += 1,
                OutputEvent::End(_) => return (count, true),
            }
        }
        (count, false)
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_removed_and_the_others_read_all() {
        let readers = OutputReaders::default();
        let stopped = readers.subscribe();
        let reading = tokio::spawn(rest(readers.subscribe()));
        for number in 0..3 * BUFFERED_EVENTS {
            readers.send(&data(number)).await;
        }
        readers.end(ExitStatus::from_raw(0)).await;
        assert_eq!(reading.await.unwrap(), (3 * BUFFERED_EVENTS, true));
        assert_eq!(rest(stopped).await, (BUFFERED_EVENTS, false));
        assert_eq!(rest(readers.subscribe()).await, (0, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_reader_is_waited_for_until_another_comes() {
        let readers = std::sync::Arc::new(OutputReaders::default());
        let stopped = readers.subscribe();
        let sender = std::sync::Arc::clone(&readers);
        let sent = tokio::spawn(async move {
            for number in 0..=BUFFERED_EVENTS {
                sender.send(&data(number)).await;
            }
            Instant::now()
        });
        tokio::time::sleep(LONE_READER_TIMEOUT / 2).await;
        assert!(!sent.is_finished(), "the process does not wait");
        let (other, joined) = (readers.subscribe(), Instant::now());
        assert!(sent.await.unwrap() <= joined + SHARED_READER_TIMEOUT);
        readers.end(ExitStatus::from_raw(0)).await;
        assert_eq!(rest(other).await, (0, true));
        assert_eq!(rest(stopped).await, (BUFFERED_EVENTS, false));
    }
}
