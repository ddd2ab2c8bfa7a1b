//! Controls what happens to a second invocation of a session while another one is running.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::exchange::policies::SessionConcurrency;
use crate::exchange::rejection::Rejection;

/// Lets the invocations of each session run one at a time. Blocking code of a dropped or
/// interrupted invocation can overlap with the next invocation.
pub(crate) struct SessionGate {
    concurrency: SessionConcurrency,
    max_waiting: usize,
    /// The sessions that have a running invocation.
    sessions: Mutex<HashMap<String, SessionQueue>>,
}

struct SessionQueue {
    running: Arc<TurnState>,
    waiting: VecDeque<Arc<TurnState>>,
}

/// The state of one invocation, which its turn and the gate share.
struct TurnState(Mutex<(TurnPhase, Option<Waker>)>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum TurnPhase {
    Waiting,
    Running,
    Interrupted,
}

impl SessionGate {
    /// Returns a gate, or `None` if all invocations run in parallel.
    pub(crate) fn new(concurrency: SessionConcurrency, max_waiting: usize) -> Option<Arc<Self>> {
        (concurrency != SessionConcurrency::Parallel).then(|| {
            Arc::new(Self {
                concurrency,
                max_waiting,
                sessions: Mutex::default(),
            })
        })
    }

    /// Whether a later invocation interrupts the running one. The later invocation must then be
    /// valid before it is added.
    pub(crate) fn interrupts(&self) -> bool {
        self.concurrency == SessionConcurrency::Interrupt
    }

    /// Adds an invocation to a session. The invocation runs when its turn is ready.
    ///
    /// Fails if another invocation runs and the policy is to reject, or if the queue is full.
    pub(crate) fn enter(self: &Arc<Self>, session: &str) -> Result<SessionTurn, Rejection> {
        let mut sessions = self.sessions();
        let state = match sessions.entry(session.to_owned()) {
            Entry::Vacant(entry) => {
                let running = TurnState::new(TurnPhase::Running);
                entry.insert(SessionQueue {
                    running: Arc::clone(&running),
                    waiting: VecDeque::new(),
                });
                running
            }
            Entry::Occupied(mut entry) => self.enter_busy_session(session, entry.get_mut())?,
        };
        drop(sessions);
        Ok(SessionTurn {
            gate: Arc::clone(self),
            session: session.to_owned(),
            state,
        })
    }

    /// Adds an invocation to a session that has a running invocation.
    fn enter_busy_session(
        &self,
        name: &str,
        session: &mut SessionQueue,
    ) -> Result<Arc<TurnState>, Rejection> {
        match self.concurrency {
            SessionConcurrency::Reject => Err(Rejection::SessionBusy {
                session: name.to_owned(),
            }),
            SessionConcurrency::Queue if session.waiting.len() >= self.max_waiting => {
                Err(Rejection::SessionQueueFull {
                    session: name.to_owned(),
                    limit: self.max_waiting,
                })
            }
            SessionConcurrency::Queue => {
                let state = TurnState::new(TurnPhase::Waiting);
                session.waiting.push_back(Arc::clone(&state));
                Ok(state)
            }
            // The first invocation is not polled any more, so the second does not wait for the end
            // of the first. Blocking code of the first continues until the next item or the end.
            SessionConcurrency::Interrupt | SessionConcurrency::Parallel => {
                let state = TurnState::new(TurnPhase::Running);
                let first = std::mem::replace(&mut session.running, Arc::clone(&state));
                first.set(TurnPhase::Interrupted);
                Ok(state)
            }
        }
    }

    fn leave(&self, session: &str, state: &Arc<TurnState>) {
        let mut sessions = self.sessions();
        let Some(found) = sessions.get_mut(session) else {
            return;
        };
        if !Arc::ptr_eq(&found.running, state) {
            found.waiting.retain(|waiting| !Arc::ptr_eq(waiting, state));
        } else if let Some(next) = found.waiting.pop_front() {
            next.set(TurnPhase::Running);
            found.running = next;
        } else {
            sessions.remove(session);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, SessionQueue>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnState {
    fn new(phase: TurnPhase) -> Arc<Self> {
        Arc::new(Self((phase, None).into()))
    }

    fn lock(&self) -> MutexGuard<'_, (TurnPhase, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: TurnPhase) {
        let mut state = self.lock();
        state.0 = phase;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

/// The turn of one invocation. Dropping it lets the next invocation of the session run.
pub(crate) struct SessionTurn {
    gate: Arc<SessionGate>,
    session: String,
    state: Arc<TurnState>,
}

impl SessionTurn {
    /// Whether the invocation may run now.
    pub(crate) fn is_ready(&self) -> bool {
        self.state.lock().0 == TurnPhase::Running
    }

    /// Waits for the turn. Once the turn is ready, this returns `Ok`, or an error as soon as a
    /// later invocation interrupts this one. The turn is therefore polled before each step.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let mut state = self.state.lock();
        let poll = match state.0 {
            TurnPhase::Waiting => Poll::Pending,
            TurnPhase::Running => Poll::Ready(Ok(())),
            TurnPhase::Interrupted => return Poll::Ready(Err(Rejection::Interrupted)),
        };
        match &mut state.1 {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        poll
    }
}

impl Drop for SessionTurn {
    fn drop(&mut self) {
        self.gate.leave(&self.session, &self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(turn: &SessionTurn) -> Poll<Result<(), &'static str>> {
        let poll = turn.poll(&mut Context::from_waker(Waker::noop()));
        poll.map(|turn| turn.map_err(|rejection| rejection.error_type()))
    }

    fn gate(concurrency: SessionConcurrency) -> Arc<SessionGate> {
        SessionGate::new(concurrency, 2).expect("a gate")
    }

    #[test]
    fn parallel_sessions_need_no_gate() {
        assert!(SessionGate::new(SessionConcurrency::Parallel, 2).is_none());
    }

    #[test]
    fn a_queue_is_in_order_and_bounded() {
        let gate = gate(SessionConcurrency::Queue);
        let first = gate.enter("s").unwrap();
        let second = gate.enter("s").unwrap();
        let third = gate.enter("s").unwrap();
        assert_eq!(
            gate.enter("s").err().unwrap().error_type(),
            "SessionQueueFull"
        );
        assert_eq!(poll(&gate.enter("other").unwrap()), Poll::Ready(Ok(())));
        assert_eq!(poll(&first), Poll::Ready(Ok(())));
        assert!(poll(&second).is_pending() && poll(&third).is_pending());
        // An invocation that leaves the queue makes room, and does not get a turn.
        drop(second);
        let fourth = gate.enter("s").unwrap();
        drop(first);
        assert_eq!(poll(&third), Poll::Ready(Ok(())));
        assert!(poll(&fourth).is_pending());
        drop(third);
        assert_eq!(poll(&fourth), Poll::Ready(Ok(())));
        drop(fourth);
        assert!(gate.sessions().is_empty());
    }

    #[test]
    fn a_busy_session_rejects() {
        let gate = gate(SessionConcurrency::Reject);
        let first = gate.enter("s").unwrap();
        assert_eq!(gate.enter("s").err().unwrap().error_type(), "SessionBusy");
        drop(first);
        assert!(gate.enter("s").is_ok());
    }

    #[test]
    fn the_last_interrupts_all_before_it() {
        let gate = gate(SessionConcurrency::Interrupt);
        let first = gate.enter("s").unwrap();
        let second = gate.enter("s").unwrap();
        assert_eq!(poll(&first), Poll::Ready(Err("Interrupted")));
        assert_eq!(poll(&second), Poll::Ready(Ok(())));
        drop(first);
        let third = gate.enter("s").unwrap();
        assert_eq!(poll(&second), Poll::Ready(Err("Interrupted")));
        assert_eq!(poll(&third), Poll::Ready(Ok(())));
        drop((second, third));
        assert!(gate.sessions().is_empty());
    }
}
