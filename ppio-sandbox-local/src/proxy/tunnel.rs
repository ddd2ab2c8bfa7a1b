//! Passes bytes in both directions after an upgrade.

use std::io;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};

/// The longest time for which the other side may continue after one side has ended: a peer that
/// does not close its side, or whose machine is gone, must not keep the tunnel open.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
const BUFFER_SIZE: usize = 16 * 1024;

/// Passes bytes on until both sides have ended, or one of them is broken. When one side ends, the
/// direction from that side ends as well, and the other direction has [`LINGER_TIMEOUT`] left.
pub(super) async fn tunnel<A, B>(one: A, other: B)
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (one_reader, one_writer) = tokio::io::split(one);
    let (other_reader, other_writer) = tokio::io::split(other);
    let forth = pass(one_reader, other_writer);
    let back = pass(other_reader, one_writer);
    tokio::pin!(forth, back);
    let outcome = tokio::select! {
        passed = &mut forth => match passed {
            Ok(()) => linger(back).await,
            Err(error) => Err(error),
        },
        passed = &mut back => match passed {
            Ok(()) => linger(forth).await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "an upgraded connection broke");
    }
}

async fn linger(rest: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let passed = tokio::time::timeout(LINGER_TIMEOUT, rest).await;
    passed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Passes on the bytes of one direction, then the end of the stream.
async fn pass<A, B>(mut from: ReadHalf<A>, mut to: WriteHalf<B>) -> io::Result<()>
where
    A: AsyncRead,
    B: AsyncWrite,
{
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the two ends of a tunnel, and the task that runs the tunnel.
    fn tunnelled() -> (
        tokio::io::DuplexStream,
        tokio::io::DuplexStream,
        tokio::task::JoinHandle<()>,
    ) {
        let (caller, one) = tokio::io::duplex(1024);
        let (server, other) = tokio::io::duplex(1024);
        (caller, server, tokio::spawn(tunnel(one, other)))
    }

    #[tokio::test]
    async fn an_end_is_passed_on_and_the_other_direction_continues() {
        let (mut caller, mut server, tunnel) = tunnelled();
        caller.write_all(b"question").await.unwrap();
        caller.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        text.clear();
        caller.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
        tunnel.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_side_that_never_ends_is_disconnected() {
        for server_ends in [false, true] {
            let (caller, server, tunnel) = tunnelled();
            let (mut ending, mut silent) = if server_ends {
                (server, caller)
            } else {
                (caller, server)
            };
            ending.shutdown().await.unwrap();
            tunnel.await.unwrap();
            assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
            silent.write_all(b"x").await.unwrap_err();
        }
    }
}
