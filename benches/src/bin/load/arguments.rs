//! The command line of `load`.

use std::net::SocketAddr;
use std::time::Duration;

const USAGE: &str = "usage: load <address> <connections> <seconds> <json body> <path>";

/// The longest duration that the command line may select. The last responses may take longer.
const MAX_DURATION: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    pub(crate) body: String,
    pub(crate) path: String,
}

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let arguments: Vec<String> = arguments.collect();
        let [address, connections, seconds, body, path] = arguments.as_slice() else {
            return Err(USAGE.to_owned());
        };
        let invalid = |expected: &str, value: &str| format!("`{value}` is not {expected}\n{USAGE}");
        let duration = seconds
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .filter(|duration| *duration <= MAX_DURATION)
            .ok_or_else(|| invalid("a number of seconds up to 60", seconds))?;
        Ok(Self {
            address: address
                .parse()
                .map_err(|_| invalid("an address such as 127.0.0.1:8080", address))?,
            connections: connections
                .parse()
                .ok()
                .filter(|connections| (1..=1024).contains(connections))
                .ok_or_else(|| invalid("a number of connections from 1 to 1024", connections))?,
            duration,
            body: body.clone(),
            path: path.clone(),
        })
    }
}
