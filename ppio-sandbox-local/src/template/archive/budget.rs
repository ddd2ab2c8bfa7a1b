//! Counts the bytes that are read from an archive.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// The bytes that may still be read.
#[derive(Debug)]
pub(super) struct ReadBudget {
    total: Cell<u64>,
    /// The bytes that may still be read before the content of the next entry.
    header: Cell<u64>,
    exceeded: Cell<Option<BudgetExceeded>>,
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum BudgetExceeded {
    #[error("the archive unpacks to more bytes than the limit")]
    Total,
    #[error("the header of an entry is too large")]
    Header,
}

impl ReadBudget {
    pub(super) fn new(total: u64, header: u64) -> Self {
        Self {
            total: Cell::new(total),
            header: Cell::new(header),
            exceeded: Cell::default(),
        }
    }

    /// Sets how many bytes may be read before the content of the next entry.
    pub(super) fn set_header(&self, limit: u64) {
        self.header.set(limit);
    }

    pub(super) fn exceeded(&self) -> Option<BudgetExceeded> {
        self.exceeded.get()
    }

    /// Counts bytes. Returns an error if more were counted than allowed.
    pub(super) fn spend(&self, count: u64) -> Result<(), BudgetExceeded> {
        for (left, exceeded) in [
            (&self.total, BudgetExceeded::Total),
            (&self.header, BudgetExceeded::Header),
        ] {
            let Some(rest) = left.get().checked_sub(count) else {
                self.exceeded.set(Some(exceeded));
                return Err(exceeded);
            };
            left.set(rest);
        }
        Ok(())
    }
}

pub(super) struct CountedReader<R> {
    inner: R,
    budget: Rc<ReadBudget>,
}

impl<R> CountedReader<R> {
    pub(super) fn new(inner: R, budget: Rc<ReadBudget>) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.spend(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}
