//! The sockets that listen on this machine's ports, and which of them a connection reaches.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// State "listen" in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The listeners on some ports at one moment.
#[derive(Debug, Default)]
pub(super) struct ListenerTable {
    listeners: Vec<Listener>,
}

#[derive(Debug, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    port: u16,
    inode: u64,
}

impl ListenerTable {
    /// Reads the listeners on `ports`. Blocks on two short reads: the kernel lists listeners before
    /// connections, which are not read.
    pub(super) fn read(ports: &[u16]) -> Self {
        let mut listeners = Vec::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            // Without IPv6 the second does not exist.
            let Ok(file) = File::open(table) else {
                continue;
            };
            let lines = BufReader::new(file).lines().skip(1).map_while(Result::ok);
            for line in lines {
                let Some((listener, state)) = parse(&line) else {
                    continue;
                };
                if state != LISTEN {
                    break;
                }
                if ports.contains(&listener.port) {
                    listeners.push(listener);
                }
            }
        }
        Self { listeners }
    }

    /// The inodes of the sockets that share what is sent to `port` at `address`, a loopback
    /// address: those bound to that address, otherwise those bound to every address.
    pub(super) fn receivers(&self, address: IpAddr, port: u16) -> BTreeSet<u64> {
        let bound_to = |wanted: IpAddr| -> BTreeSet<u64> {
            self.listeners
                .iter()
                .filter(|listener| listener.port == port && listener.address == wanted)
                .map(|listener| listener.inode)
                .collect()
        };
        let candidates = match address {
            IpAddr::V4(_) => vec![
                address,
                Ipv4Addr::UNSPECIFIED.into(),
                Ipv6Addr::UNSPECIFIED.into(),
            ],
            IpAddr::V6(_) => vec![address, Ipv6Addr::UNSPECIFIED.into()],
        };
        candidates
            .into_iter()
            .map(bound_to)
            .find(|inodes| !inodes.is_empty())
            .unwrap_or_default()
    }

    /// The inodes of every listener on `port`.
    pub(super) fn all(&self, port: u16) -> BTreeSet<u64> {
        self.listeners
            .iter()
            .filter(|listener| listener.port == port)
            .map(|listener| listener.inode)
            .collect()
    }
}

fn parse(line: &str) -> Option<(Listener, &str)> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let listener = Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: fields.nth(5)?.parse().ok()?,
    };
    Some((listener, state))
}

/// Words of 32 bits in network order, each printed as a number of this machine. IPv4 addresses of
/// IPv6 sockets become what they are.
fn parse_address(text: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    let words = text.len() / 8;
    if !text.is_ascii() || !text.len().is_multiple_of(8) || ![1, 4].contains(&words) {
        return None;
    }
    for word in 0..words {
        let number = u32::from_str_radix(&text[word * 8..(word + 1) * 8], 16).ok()?;
        bytes[word * 4..(word + 1) * 4].copy_from_slice(&number.to_ne_bytes());
    }
    Some(match words {
        1 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        _ => Ipv6Addr::from(bytes).to_canonical(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LOOPBACK_4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LOOPBACK_6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn a_listener_is_found_by_the_address_that_reaches_it() {
        for (bound, by_4, by_6) in [
            ("127.0.0.1:0", true, false),
            ("0.0.0.0:0", true, false),
            ("[::1]:0", false, true),
            ("[::]:0", true, true),
            ("127.0.0.2:0", false, false),
        ] {
            let listener = TcpListener::bind(bound).unwrap();
            let port = listener.local_addr().unwrap().port();
            let table = ListenerTable::read(&[port]);
            assert_eq!(table.all(port).len(), 1, "{bound}");
            assert_eq!(
                !table.receivers(LOOPBACK_4, port).is_empty(),
                by_4,
                "{bound}"
            );
            assert_eq!(
                !table.receivers(LOOPBACK_6, port).is_empty(),
                by_6,
                "{bound}"
            );
            drop(listener);
            assert!(ListenerTable::read(&[port]).all(port).is_empty(), "{bound}");
        }
    }

    #[test]
    fn the_closer_address_receives() {
        let on_6 = TcpListener::bind("[::1]:0").unwrap();
        let port = on_6.local_addr().unwrap().port();
        let on_4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let table = ListenerTable::read(&[port]);
        assert_eq!(table.all(port).len(), 2);
        let (by_4, by_6) = (
            table.receivers(LOOPBACK_4, port),
            table.receivers(LOOPBACK_6, port),
        );
        assert_eq!((by_4.len(), by_6.len()), (1, 1));
        assert_ne!(by_4, by_6);
        drop(on_4);
    }
}
