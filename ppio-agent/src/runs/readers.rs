//! The current readers of a run.

use std::task::Waker;

/// The readers of a run, by number. The number of a removed reader is used again.
#[derive(Default)]
pub(super) struct Readers {
    slots: Vec<Option<ReaderSlot>>,
    free: Vec<usize>,
}

struct ReaderSlot {
    /// The id of the first item that the reader has not read.
    next: u64,
    /// Wakes a reader that has read everything.
    waker: Option<Waker>,
    /// Whether the reader has read the end.
    has_end: bool,
}

impl Readers {
    pub(super) fn add(&mut self, next: u64) -> usize {
        let slot = Some(ReaderSlot {
            next,
            waker: None,
            has_end: false,
        });
        if let Some(reader) = self.free.pop() {
            self.slots[reader] = slot;
            reader
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        }
    }

    /// Removes a reader. Returns whether it had read the end.
    pub(super) fn remove(&mut self, reader: usize) -> bool {
        match self.slots[reader].take() {
            None => false,
            Some(slot) => {
                self.free.push(reader);
                slot.has_end
            }
        }
    }

    /// Records that a reader has read the end.
    pub(super) fn reach_end(&mut self, reader: usize) {
        if let Some(slot) = &mut self.slots[reader] {
            slot.has_end = true;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.len() == self.free.len()
    }

    /// Records how far a reader has read.
    pub(super) fn advance(&mut self, reader: usize, next: u64) {
        if let Some(slot) = &mut self.slots[reader] {
            slot.next = next;
        }
    }

    /// Returns the position of the slowest reader, if there is one.
    pub(super) fn slowest(&self) -> Option<u64> {
        self.slots.iter().flatten().map(|slot| slot.next).min()
    }

    /// Stores the waker of a reader, which [`wake`](Self::wake) wakes.
    pub(super) fn wait(&mut self, reader: usize, waker: &Waker) {
        if let Some(slot) = &mut self.slots[reader] {
            match &mut slot.waker {
                Some(current) => current.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
        }
    }

    /// Wakes all readers that wait.
    pub(super) fn wake(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowest_ignores_removed_readers() {
        let mut readers = Readers::default();
        assert!(readers.is_empty());
        let (a, b) = (readers.add(1), readers.add(5));
        readers.advance(a, 9);
        assert_eq!(readers.slowest(), Some(5));
        assert!(!readers.remove(b));
        assert_eq!(readers.slowest(), Some(9));
        assert_eq!(readers.add(2), b);
        readers.reach_end(b);
        assert!(!readers.remove(a));
        assert!(readers.remove(b));
        assert!(readers.is_empty());
        assert_eq!(readers.slowest(), None);
    }
}
