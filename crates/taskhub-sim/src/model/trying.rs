//! The step that tries an activity again, reckoned in whole numbers.

use std::time::Duration;

use taskhub_core::{Failure, Kind};

use super::{Teller, UNKNOWN, Wait};
use crate::program::{Policy, TIMEOUT, attempt, millis};

impl Teller<'_> {
    /// All attempts, in the time that they have.
    pub(super) fn retry(&mut self, policy: &Policy) -> Option<()> {
        let (began, input) = (self.now, self.notes.entries.len());
        let limit = policy.limit.map(|limit| self.timer(limit.into()));
        let (mut failed, mut progress) = (0, None);
        let outcome = loop {
            let work = attempt(input, progress.as_ref());
            let call = self.call(Kind::ActivityScheduled { call: UNKNOWN, work });
            let timer = policy.attempt.map(|limit| self.timer(limit.into()));
            let (outcome, failure) = match self.among(Some(call), timer, limit)? {
                First::Call(outcome) => (outcome, self.failure(call)),
                First::Timer => too_long(),
                First::Limit => break too_long().0,
            };
            let Some(failure) = failure else {
                self.dropped.extend(limit.map(|limit| (limit, self.turn)));
                break outcome;
            };
            failed += 1;
            progress = failure.details.or(progress);
            let elapsed = self.now.since(began);
            let pause = pause(policy, failed);
            let late = policy.total.is_some_and(|total| elapsed + pause > millis(total));
            let spared = policy.spares == Some(&*failure.kind);
            if failure.non_retriable || spared || failed >= policy.attempts || late {
                self.dropped.extend(limit.map(|limit| (limit, self.turn)));
                break outcome;
            }
            let fire_at = self.now.plus(pause);
            let timer = self.call(Kind::TimerCreated { call: UNKNOWN, fire_at });
            if let First::Limit = self.among(None, Some(timer), limit)? {
                break too_long().0;
            }
        };
        self.notes.note(outcome);
        Some(())
    }

    /// Waits for a call and a timer as long as the limit allows, and gives up what is then open.
    fn among(
        &mut self,
        call: Option<usize>,
        timer: Option<usize>,
        limit: Option<usize>,
    ) -> Option<First> {
        let open: Vec<_> = [call, timer, limit].into_iter().flatten().collect();
        let waits: Vec<_> = open.iter().copied().map(Wait::Call).collect();
        let (index, outcome) = self.first(&waits)?;
        let first = Some(open[index]);
        let lost = [call, timer].into_iter().flatten().filter(|it| Some(*it) != first);
        self.dropped.extend(lost.map(|it| (it, self.turn)));
        Some(match first {
            first if first == call => First::Call(outcome),
            first if first == timer => First::Timer,
            _ => First::Limit,
        })
    }

    /// How an attempt failed, if it did.
    fn failure(&self, call: usize) -> Option<Failure> {
        let (_, event) = self.seen.ended.get(&self.calls[call].call()?)?;
        match &event.kind {
            Kind::ActivityFinished { outcome, .. } => outcome.clone().err(),
            _ => None,
        }
    }
}

/// An attempt that took too long: what is noted of it, and how it failed.
fn too_long() -> (String, Option<Failure>) {
    (format!("!{TIMEOUT}"), Some(Failure::new(TIMEOUT, "")))
}

/// What came first.
enum First {
    Call(String),
    Timer,
    Limit,
}

/// The pause after so many failed attempts.
fn pause(policy: &Policy, failed: u32) -> Duration {
    let nanos = |millis: u32| u64::from(millis) * 1_000_000;
    let mut pause = nanos(policy.first).min(nanos(policy.max));
    for _ in 1..failed {
        pause = (pause * u64::from(policy.factor) / 10).min(nanos(policy.max));
    }
    Duration::from_nanos(pause)
}
