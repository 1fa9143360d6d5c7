//! Effects that must not leave before the commit that caused them is durable.

use std::collections::VecDeque;

use super::Effect;
use crate::{
    CommitSeq,
    mutation::{Mutation, mutated},
};

/// Counts this partition's commits, and holds back effects until theirs are durable.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    last: CommitSeq,
    durable: CommitSeq,
    held: VecDeque<(CommitSeq, Effect)>,
}

impl Outbox {
    /// The number of the next commit.
    pub(super) fn next_seq(&mut self) -> CommitSeq {
        self.last.0 += 1;
        self.last
    }

    /// The number of the latest commit.
    pub(super) fn last(&self) -> CommitSeq {
        self.last
    }

    /// All commits up to this one are durable.
    pub(super) fn durable(&self) -> CommitSeq {
        self.durable
    }

    pub(super) fn now_durable(&mut self, seq: CommitSeq) {
        self.durable = self.durable.max(seq);
    }

    /// Whether nothing is held back, and all commits are durable.
    pub(super) fn is_empty(&self) -> bool {
        (self.held.is_empty() && self.last == self.durable) || mutated(Mutation::LeaveEarly)
    }

    /// Lets `effect` go once the latest commit is durable. That keeps effects in order, and costs
    /// nothing: commits of one lane become durable in order too.
    pub(super) fn hold(&mut self, effect: Effect) {
        self.held.push_back((self.last, effect));
    }

    /// Moves out the effects whose commits are durable.
    pub(super) fn release(&mut self, out: &mut Vec<Effect>) {
        let early = |effect: &Effect| {
            matches!(effect, Effect::Answer(..)) && mutated(Mutation::AnswerEarly)
                || matches!(effect, Effect::Dispatch(_)) && mutated(Mutation::DispatchEarly)
        };
        while let Some((_, effect)) = self.held.front()
            && early(effect)
            && let Some((_, effect)) = self.held.pop_front()
        {
            out.push(effect);
        }
        while let Some((seq, _)) = self.held.front()
            && *seq <= self.durable
            && let Some((_, effect)) = self.held.pop_front()
        {
            out.push(effect);
        }
    }
}
