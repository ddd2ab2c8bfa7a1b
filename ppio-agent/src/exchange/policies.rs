//! The policies for invocations whose callers disconnect, and for invocations of one session.

use std::str::FromStr;

/// What happens to an invocation whose caller disconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnDisconnect {
    /// The invocation is cancelled.
    #[default]
    Cancel,
    /// The invocation continues, and its answer is kept for a caller that reconnects.
    Continue,
}

impl OnDisconnect {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Continue => "continue",
        }
    }
}

impl FromStr for OnDisconnect {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "cancel" => Ok(Self::Cancel),
            "continue" => Ok(Self::Continue),
            _ => Err(()),
        }
    }
}

/// How a second invocation of a session is handled while one runs. An invocation without a
/// session always runs immediately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SessionConcurrency {
    /// Both invocations run at the same time.
    #[default]
    Parallel,
    /// The second waits until the first has ended; further ones wait in the order of their
    /// requests. The deadline of an invocation includes the time that it waits.
    Queue,
    /// The second is answered with a 409.
    Reject,
    /// The first is cancelled: its caller receives the error `Interrupted`.
    Interrupt,
}

impl FromStr for SessionConcurrency {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "parallel" => Ok(Self::Parallel),
            "queue" => Ok(Self::Queue),
            "reject" => Ok(Self::Reject),
            "interrupt" => Ok(Self::Interrupt),
            _ => Err(()),
        }
    }
}
