//! Decides which calls are disturbed, and how. The same seed gives the same decisions.

use std::time::Duration;

use super::AgentAction;

/// The sum of the weights in the table of [`Decisions::next`].
const CALLS: u8 = 32;
/// The number of the last part in which an answer may be cut.
const MAX_PART: usize = 3;
/// The longest delay of an action on the agent after the connection of a call, in milliseconds.
const MAX_DELAY_MS: u64 = 300;

/// The disturbance of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// The caller and the agent are disconnected in the middle of this part of the answer, counted
    /// from 1. An answer of a known length is cut in its first part. A stream with fewer parts is
    /// not cut.
    Cut { part: usize },
    /// The answer is read slowly.
    ReadSlowly,
    /// An action is applied to the agent after a delay.
    Agent {
        action: AgentAction,
        after: Duration,
    },
}

/// The decisions about calls, in their order.
#[derive(Debug)]
pub(super) struct Decisions {
    random: fastrand::Rng,
    calls: u64,
}

impl Decisions {
    pub(super) fn new(seed: u32) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed.into()),
            calls: 0,
        }
    }

    /// Returns the number of the next call, and what happens to it. On average, one call in four is
    /// disturbed.
    pub(super) fn next(&mut self) -> (u64, Option<Disturbance>) {
        self.calls += 1;
        // Each call uses the same number of random values.
        let kind = self.random.u8(..CALLS);
        let part = self.random.usize(1..=MAX_PART);
        let after = Duration::from_millis(self.random.u64(..=MAX_DELAY_MS));
        let agent = |action| Disturbance::Agent { action, after };
        let disturbance = match kind {
            0..3 => Disturbance::Cut { part },
            3..6 => Disturbance::ReadSlowly,
            6 => agent(AgentAction::Terminate),
            7 => agent(AgentAction::Pause),
            _ => return (self.calls, None),
        };
        (self.calls, Some(disturbance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(seed: u32, count: usize) -> Vec<Option<Disturbance>> {
        let mut decisions = Decisions::new(seed);
        (0..count).map(|_| decisions.next().1).collect()
    }

    #[test]
    fn the_same_seed_leads_to_the_same_decisions() {
        for seed in [0, 7, u32::MAX] {
            assert_eq!(first(seed, 500), first(seed, 500));
        }
        assert_ne!(first(1, 500), first(2, 500));
    }

    #[test]
    fn about_one_call_of_four_is_disturbed_and_each_way_occurs() {
        let decisions = first(1, 32_000);
        let count = |is: fn(&Disturbance) -> bool| {
            let found = decisions.iter().flatten().filter(|found| is(found));
            found.count()
        };
        let agent = |found: &Disturbance, wanted| matches!(found, Disturbance::Agent { action, .. } if *action == wanted);
        assert!((7_500..8_500).contains(&count(|_| true)));
        assert!((2_800..3_200).contains(&count(|found| matches!(found, Disturbance::Cut { .. }))));
        assert!((2_800..3_200).contains(&count(|found| *found == Disturbance::ReadSlowly)));
        let actions = [AgentAction::Terminate, AgentAction::Pause];
        for action in actions {
            let found = decisions
                .iter()
                .flatten()
                .filter(|found| agent(found, action));
            assert!((900..1_100).contains(&found.count()), "{action:?}");
        }
    }
}
