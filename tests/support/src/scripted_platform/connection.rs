//! Accepts connections, reads their requests and writes the scripted replies.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::reply::{Reply, Step};
use super::{Shared, behaviour, request};

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().open_connections -= 1;
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let reset = {
        let mut state = shared.lock();
        state.connections += 1;
        state.open_connections += 1;
        let reset = state.resets > 0;
        state.resets = state.resets.saturating_sub(1);
        reset
    };
    let _open = Open(Arc::clone(&shared));
    if reset {
        // Unread bytes make the kernel close the connection with a reset; a zero linger makes the
        // reset certain.
        let _ = stream.set_zero_linger();
        return;
    }
    let _ = stream.set_nodelay(true);
    while let Some(request) = request::read(&mut stream).await {
        let reply = {
            let mut state = shared.lock();
            state.requests.push(request.clone());
            let scripted = state
                .scripts
                .get_mut(&request.route)
                .and_then(VecDeque::pop_front);
            scripted.or_else(|| state.standing.get(&request.route).cloned())
        };
        let reply = match reply {
            Some(reply) if reply.with_effect => {
                behaviour::respond(&mut shared.lock(), &request);
                reply
            }
            Some(reply) => reply,
            None => behaviour::respond(&mut shared.lock(), &request),
        };
        let drip = shared.lock().drip;
        if !write(&mut stream, reply, drip, &shared).await {
            return;
        }
    }
}

/// Writes a reply. Returns `false` if the connection has ended.
async fn write(stream: &mut TcpStream, reply: Reply, drip: Option<usize>, shared: &Shared) -> bool {
    for step in reply.steps {
        match step {
            Step::Write(bytes) => {
                for piece in bytes.chunks(drip.unwrap_or(bytes.len()).max(1)) {
                    if stream.write_all(piece).await.is_err() {
                        return false;
                    }
                    if drip.is_some() {
                        tokio::task::yield_now().await;
                    }
                }
            }
            Step::Repeat(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {
                    shared.lock().repeated += bytes.len() as u64;
                }
                return false;
            }
            Step::Pause(pause) => {
                // Detects that the client disconnects during the pause, as a real server would.
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = disconnected(stream) => return false,
                }
            }
            Step::Hang => {
                disconnected(stream).await;
                return false;
            }
            Step::Close => {
                let _ = stream.shutdown().await;
                return false;
            }
            Step::Reset => {
                let _ = stream.set_zero_linger();
                return false;
            }
        }
    }
    true
}

/// Waits until the client has closed its side.
async fn disconnected(stream: &mut TcpStream) {
    let mut byte = [0];
    match stream.read(&mut byte).await {
        Ok(0) | Err(_) => {}
        // A client must not send more; if it does, the test exceeds its deadline.
        Ok(_) => pending().await,
    }
}
