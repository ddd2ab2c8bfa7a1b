//! The current poll of a thread, for another thread to read.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// The maximum length of a stored request id, in words of 8 bytes; random ids have 36 bytes.
const WORDS: usize = 16;

/// The current poll of one thread. Only that thread writes to the slot.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct PollSlot {
    /// Changes when a poll begins and when it ends.
    epoch: AtomicU64,
    /// The function that is polled, 0 for none.
    function: AtomicU32,
    request_length: AtomicUsize,
    request: [AtomicU64; WORDS],
    has_ended: AtomicBool,
    /// The file in which the system reports how long the thread waited for a processor.
    pub(super) statistics: Option<String>,
}

impl PollSlot {
    pub(super) fn new(statistics: Option<String>) -> Self {
        Self {
            statistics,
            ..Self::default()
        }
    }

    /// Returns the function that is polled, 0 for none; called by the slot's own thread.
    #[inline]
    pub(super) fn function(&self) -> u32 {
        self.function.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_function(&self, function: u32) {
        // No other thread writes, so the read and the write need not be one atomic operation.
        let epoch = self.epoch.load(Ordering::Relaxed);
        self.function.store(function, Ordering::Relaxed);
        self.epoch.store(epoch.wrapping_add(1), Ordering::Release);
    }

    #[inline]
    pub(super) fn set_request(&self, id: &[u8]) {
        let (words, rest) = id.as_chunks::<8>();
        for (to, word) in self.request.iter().zip(words) {
            to.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        if let Some(to) = self.request.get(words.len())
            && !rest.is_empty()
        {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            to.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        self.request_length.store(id.len(), Ordering::Relaxed);
    }

    /// Returns the number of the current poll, which is unique on the thread, and its function.
    pub(super) fn current(&self) -> (u64, Option<u32>) {
        let epoch = self.epoch.load(Ordering::Acquire);
        let function = self.function.load(Ordering::Relaxed);
        (epoch, Some(function).filter(|&function| function != 0))
    }

    /// Returns the request id of the current poll, or any text if another poll begins meanwhile.
    pub(super) fn request_id(&self) -> String {
        let words = self.request.iter();
        let mut bytes: Vec<u8> = words
            .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
            .collect();
        bytes.truncate(self.request_length.load(Ordering::Relaxed));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Records that the thread has ended.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}
