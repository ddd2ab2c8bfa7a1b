//! Listening sockets that were found to belong to a sandbox.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

/// The maximum number of ports that are kept. At this number, all are dropped and looked up again.
const MAX_PORTS: usize = 256;

/// For each port of a sandbox that was dialled, its address and the inodes of the sockets that
/// listen there. Linux reuses the inode of a socket only after billions of other sockets.
#[derive(Debug, Default)]
pub(crate) struct VerifiedListeners {
    ports: Mutex<HashMap<u16, VerifiedListener>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifiedListener {
    pub(crate) address: SocketAddr,
    pub(crate) inodes: BTreeSet<u64>,
}

impl VerifiedListeners {
    pub(crate) fn get(&self, port: u16) -> Option<VerifiedListener> {
        self.lock().get(&port).cloned()
    }

    pub(crate) fn insert(&self, port: u16, listener: VerifiedListener) {
        let mut ports = self.lock();
        if ports.len() >= MAX_PORTS {
            ports.clear();
        }
        ports.insert(port, listener);
    }

    pub(crate) fn remove(&self, port: u16) {
        self.lock().remove(&port);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u16, VerifiedListener>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
