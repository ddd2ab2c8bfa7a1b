//! The standard streams of this process, read and written without blocking other work of the
//! process.

use std::io::{self, Read as _};

use tokio::sync::mpsc;

/// The maximum number of bytes in one chunk of input. A pipe holds twice as many.
const INPUT_PIECE: usize = 32 * 1024;

/// Returns the receiver of standard input in chunks, until its end or the first error.
///
/// Standard input is read by a thread that nothing waits for, because reading a terminal cannot be
/// cancelled.
pub(super) fn input() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    // At most two chunks are read ahead: one in the channel, and one that waits for the channel.
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut buffer = vec![0; INPUT_PIECE];
        loop {
            let piece = match io::stdin().read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(buffer[..count].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let has_failed = piece.is_err();
            if sender.blocking_send(piece).is_err() || has_failed {
                return;
            }
        }
    });
    receiver
}

/// Writes to standard output.
pub(super) async fn print(bytes: Vec<u8>) -> io::Result<()> {
    write(io::stdout(), bytes).await
}

/// Writes to standard error.
pub(super) async fn print_error(bytes: Vec<u8>) -> io::Result<()> {
    write(io::stderr(), bytes).await
}

async fn write(mut stream: impl io::Write + Send + 'static, bytes: Vec<u8>) -> io::Result<()> {
    let written = tokio::task::spawn_blocking(move || {
        stream.write_all(&bytes)?;
        stream.flush()
    });
    written.await.map_err(io::Error::other)?
}
