//! A turn elsewhere that a worker ran ahead, with the result of an activity that it ran itself.
//!
//! It is written as if the result had come, the turn had been given out, and had come back: the
//! same events, in one commit. That is right only if the code stood where the history ends, and
//! the result is the next that arrives. So a turn ahead names the turn behind which its code
//! stood, and the time that its code took for that of the result. Where anything does not fit the
//! result counts alone: a turn that is given out takes it, as if nobody had run one ahead.

use super::{deliver::within, instance::Instance};
use crate::mutation::{Mutation, mutated};
use crate::{
    Ahead, CallId, Limits, Timestamp,
    turn::{Functions, Progress},
};

impl Instance {
    /// An activity ended, and a turn took that ahead. Whether somebody waits for the result.
    pub(super) fn ahead_done(
        &mut self,
        call: CallId,
        ahead: Ahead,
        now: Timestamp,
        functions: &dyn Functions,
        limits: &Limits,
    ) -> bool {
        let is_next = self.is_next(&ahead, now, limits);
        let Ahead { outcome, at, taken, .. } = ahead;
        let arrived = if is_next { at } else { now };
        let is_wanted = self.activity_done(call, outcome, arrived, limits);
        if is_next && is_wanted {
            if let Some(remote) = self.runner.elsewhere() {
                remote.last = taken.mark;
            }
            self.conclude(taken.step, 1, Some(at), now, functions, limits);
        }
        is_wanted
    }

    /// Whether a turn that is given out now would be this one.
    fn is_next(&mut self, ahead: &Ahead, now: Timestamp, limits: &Limits) -> bool {
        let Ahead { outcome, at, after, taken } = ahead;
        let Some(remote) = self.runner.elsewhere() else { return false };
        let is_behind = remote.last == Some(*after) || mutated(Mutation::TakeAnyAhead);
        let ledger = &self.ledger;
        let is_alone = ledger.waiting == 0 && remote.out.is_none();
        let is_alone = is_alone || mutated(Mutation::TakeAheadOfOthers);
        let may_run = is_alone && !ledger.rewound && !ledger.suspended;
        // What is written is what the code saw, and no event stands before an earlier one.
        let last = self.fresh.last().map_or(self.record.updated_at, |event| event.at);
        let is_now = (last..=now).contains(at);
        let is_whole = within(outcome.clone(), limits) == *outcome;
        let goes_on = !matches!(taken.step.progress, Progress::Stuck(_));
        is_behind && may_run && is_now && is_whole && goes_on
    }
}
