//! Collects the output of a process while it runs.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The text read so far from one pipe.
pub(crate) struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    /// Reads `pipe` to its end on a separate thread, so that the writer never blocks.
    pub(crate) fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            // Reading ends when the last process that holds the pipe open has exited.
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&part[..length]);
            }
        });
        Self { text, reader }
    }

    /// Returns the output so far.
    pub(crate) fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits up to one second for the rest of the output of a process that has exited.
    ///
    /// A process that the exited process started may keep the pipe open, so the wait is short.
    pub(crate) fn finish(&self) {
        let deadline = Instant::now() + Duration::from_secs(1);
        while !self.reader.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
