//! Ports for programs that a test starts.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port: above the ports that browsers and Node's `fetch` refuse, the highest of which is
/// 10080 (<https://fetch.spec.whatwg.org/#port-blocking>), and below those that the system assigns
/// to outgoing connections and to listeners on port 0.
const FIRST_PORT: u16 = 10_100;
const PORT_COUNT: u16 = 21_900;

/// Returns a loopback port that is free now and that no later call in this process returns.
///
/// A port that the system chose could be chosen again before its program listens, and a test would
/// mistake one of the two programs for the other. Each process counts from a different number.
///
/// # Panics
///
/// If no port is free.
pub fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    // Consecutive process ids start far apart.
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..PORT_COUNT {
        let call = u32::from(CALLS.fetch_add(1, Ordering::Relaxed));
        let offset = start.wrapping_add(call) % u32::from(PORT_COUNT);
        let port = FIRST_PORT + u16::try_from(offset).expect("less than the count");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("loopback has no free port");
}
