//! The real port behind port 8080 of each sandbox.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// The first port of a [`PortPool`], whose ports are all below the usual range for outgoing
/// connections.
const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u16 = 12_000;

#[derive(Debug, Clone, Default)]
pub(crate) struct PortPool {
    taken: Arc<Mutex<BTreeSet<u16>>>,
}

/// A port that no other sandbox gets until this is dropped.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    number: u16,
    taken: Arc<Mutex<BTreeSet<u16>>>,
}

impl PortPool {
    /// Finds a port without a listener. `None` when all are in use.
    pub(crate) fn take(&self) -> Option<ReservedPort> {
        // Platforms that run side by side, as in tests, start at different ports.
        let (_, random, ..) = Uuid::new_v4().as_fields();
        let start = random % PORT_COUNT;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..PORT_COUNT)
            .map(|step| FIRST_PORT + (start + step) % PORT_COUNT)
            .find(|port| {
                !taken.contains(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
            })?;
        taken.insert(number);
        Some(ReservedPort {
            number,
            taken: Arc::clone(&self.taken),
        })
    }
}

impl ReservedPort {
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for ReservedPort {
    fn drop(&mut self) {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
    }
}
