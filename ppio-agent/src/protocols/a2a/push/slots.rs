//! Limits how many notifications are sent concurrently.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::target::Target;

/// The maximum number of notifications that are sent concurrently.
const MAX_CONCURRENT: usize = 32;

/// The maximum number of notifications that are sent concurrently to one receiver, so that a
/// receiver that does not answer leaves slots for other receivers.
const MAX_PER_RECEIVER: usize = 4;

/// The host and the port of a receiver.
type Receiver = (String, u16);

/// The slots for notifications that are being sent.
pub(super) struct Slots {
    all: Semaphore,
    /// The slots of each receiver that has notifications. A receiver without notifications is
    /// removed when another receiver is added.
    of_receivers: Mutex<HashMap<Receiver, Arc<Semaphore>>>,
}

/// A permit to send a notification, which is released when this value is dropped.
pub(super) struct DeliverySlot<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_receiver: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            all: Semaphore::new(MAX_CONCURRENT),
            of_receivers: Mutex::default(),
        }
    }

    /// Waits until a notification may be sent to a receiver.
    ///
    /// # Errors
    /// Never: no semaphore is closed.
    pub(super) async fn acquire(&self, target: &Target) -> Result<DeliverySlot<'_>, AcquireError> {
        // Notifications that wait for a slot of their receiver do not occupy a slot of `all`.
        let of_receiver = self.of_receiver(target).acquire_owned().await?;
        let of_all = self.all.acquire().await?;
        Ok(DeliverySlot {
            _of_all: of_all,
            _of_receiver: of_receiver,
        })
    }

    fn of_receiver(&self, target: &Target) -> Arc<Semaphore> {
        let host = target.host.trim_end_matches('.').to_ascii_lowercase();
        let receiver = (host, target.port);
        let receivers = self.of_receivers.lock();
        let mut receivers = receivers.unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = receivers.get(&receiver) {
            return Arc::clone(known);
        }
        // A semaphore in use is also held by a permit, or by a call that waits for a permit.
        receivers.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let semaphore = Arc::new(Semaphore::new(MAX_PER_RECEIVER));
        receivers.insert(receiver, Arc::clone(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receiver_has_a_limited_number_of_slots_in_any_spelling() {
        let slots = Slots::new();
        let target = |url: &str| Target::of(url).unwrap();
        let mut taken = Vec::new();
        for url in [
            "http://example.com/a",
            "https://example.com:80/b",
            "http://EXAMPLE.com:80/",
            "http://example.com.:80/",
        ] {
            taken.push(slots.acquire(&target(url)).await.unwrap());
        }
        let same = target("http://example.com/c");
        let mut fifth = std::pin::pin!(slots.acquire(&same));
        tokio::select! {
            biased;
            _ = &mut fifth => panic!("a fifth slot"),
            () = std::future::ready(()) => {}
        }
        // Other receivers have slots of their own.
        for url in ["http://example.com:81/", "http://example.org/"] {
            drop(slots.acquire(&target(url)).await.unwrap());
        }
        taken.pop();
        taken.push(fifth.await.unwrap());
        taken.clear();
        // A new receiver removes the receivers without notifications.
        drop(slots.acquire(&target("http://example.net/")).await.unwrap());
        assert_eq!(slots.of_receivers.lock().unwrap().len(), 1);
    }
}
