//! What the workers of one connection have in hand, for SDKs that send no completion token.
//!
//! The SDK of Go and older ones of Java say of which instance and task a result is, but not of
//! which delivery. So a result without a token counts for the only delivery of that on its
//! connection. If there are several, because the work was given out anew while an earlier run of it
//! goes on, nobody knows whose it is: it counts for none, and the work is given back.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foldhash::HashMap;
use taskhub_core::{CallId, InstanceId, Piece, Ticket};
use taskhub_engine::{DeliveryId, Patience};

use crate::HubName;

/// Runs that are remembered; beyond it nothing is taken without a token any more.
const RUNS_COUNT_MAX: usize = 100_000;

/// What a result without a token says of the work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Work {
    /// The hub.
    pub hub: HubName,
    /// The instance.
    pub instance: InstanceId,
    /// The call of an activity; none for a turn.
    pub call: Option<CallId>,
}

/// Of which delivery a result is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of this one.
    Only(DeliveryId),
    /// Of one of these; or of none that is known.
    Unclear(Vec<DeliveryId>),
}

/// The runs that have not ended, on one connection.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    by_work: HashMap<Work, Vec<(DeliveryId, Instant)>>,
    count: usize,
    /// There were too many to know all.
    lost_count: bool,
}

impl Work {
    /// The work of a ticket; none for operations of an entity, whose SDKs all send tokens.
    pub(super) fn of(hub: &HubName, ticket: &Ticket) -> Option<Self> {
        let call = match ticket.piece {
            Piece::Activity(call) => Some(call),
            Piece::Turn(_) => None,
            Piece::Operations(_) => return None,
        };
        Some(Self { hub: hub.clone(), instance: ticket.instance.clone(), call })
    }

    /// The work that a result names: an instance, and the call if it is an activity.
    pub(super) fn told(hub: &HubName, instance: &str, call: Option<i32>) -> Option<Self> {
        let instance = InstanceId::parse(instance).ok()?;
        let call = call.map(u32::try_from).transpose().ok()?.map(CallId);
        Some(Self { hub: hub.clone(), instance, call })
    }

    /// After how long it is given to another worker as well.
    fn patience(&self) -> Duration {
        let Patience { turn, activity, .. } = Patience::default();
        if self.call.is_some() { activity } else { turn }
    }
}

impl Hands {
    /// A worker is given this.
    pub(super) fn give(&self, work: Work, delivery: DeliveryId, now: Instant) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.count == RUNS_COUNT_MAX {
            tracing::warn!("too many deliveries on one connection to take results without tokens");
            *runs = Runs { lost_count: true, ..Runs::default() };
        }
        if !runs.lost_count {
            runs.count += 1;
            runs.by_work.entry(work).or_default().push((delivery, now));
        }
    }

    /// A run ended, and said which it was.
    pub(super) fn end(&self, work: &Work, delivery: DeliveryId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut given) = runs.by_work.remove(work) else { return };
        runs.count -= given.len();
        given.retain(|(it, _)| *it != delivery);
        runs.keep(work, given);
    }

    /// A run ended, and did not say which it was.
    pub(super) fn end_one(&self, work: &Work, now: Instant) -> Whose {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given = runs.by_work.remove(work).unwrap_or_default();
        runs.count -= given.len();
        if given.len() > 1 {
            // What is given out anew because it took too long is taken for lost.
            given.retain(|(_, since)| now.duration_since(*since) < work.patience());
        }
        if let [(delivery, _)] = given[..] {
            return Whose::Only(delivery);
        }
        let all = given.iter().map(|(delivery, _)| *delivery).collect();
        // Which of them is forgotten makes no difference: it is their number that tells.
        given.pop();
        runs.keep(work, given);
        Whose::Unclear(all)
    }
}

impl Runs {
    fn keep(&mut self, work: &Work, given: Vec<(DeliveryId, Instant)>) {
        if !given.is_empty() {
            self.count += given.len();
            self.by_work.insert(work.clone(), given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(instance: &str) -> Work {
        let hub = HubName::parse("orders").expect("a name");
        Work { hub, instance: InstanceId::parse(instance).expect("an id"), call: None }
    }

    #[test]
    fn a_result_without_a_token_is_that_of_the_only_run() {
        let (hands, now) = (Hands::default(), Instant::now());
        hands.give(turn("a"), 1, now);
        hands.give(turn("b"), 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Only(1));
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Unclear(vec![]));
        assert_eq!(hands.end_one(&turn("b"), now), Whose::Only(2));
    }

    #[test]
    fn a_result_is_of_none_until_earlier_runs_have_ended() {
        let (hands, now) = (Hands::default(), Instant::now());
        hands.give(turn("a"), 1, now);
        hands.give(turn("a"), 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Unclear(vec![1, 2]));
        hands.give(turn("a"), 3, now);
        assert!(matches!(hands.end_one(&turn("a"), now), Whose::Unclear(_)));
        assert!(matches!(hands.end_one(&turn("a"), now), Whose::Only(_)));
        hands.give(turn("a"), 4, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Only(4));
    }

    #[test]
    fn a_run_that_is_lost_stands_in_the_way_for_a_while_only() {
        let (hands, now) = (Hands::default(), Instant::now());
        hands.give(turn("a"), 1, now);
        let later = now + turn("a").patience();
        hands.give(turn("a"), 2, later);
        assert_eq!(hands.end_one(&turn("a"), later), Whose::Only(2));
    }

    #[test]
    fn a_run_that_takes_long_counts_when_it_is_the_only_one() {
        let (hands, now) = (Hands::default(), Instant::now());
        hands.give(turn("a"), 1, now);
        assert_eq!(hands.end_one(&turn("a"), now + 2 * turn("a").patience()), Whose::Only(1));
    }

    #[test]
    fn a_run_that_ended_with_its_token_is_over() {
        let (hands, now) = (Hands::default(), Instant::now());
        hands.give(turn("a"), 1, now);
        hands.end(&turn("a"), 1);
        hands.end(&turn("a"), 1);
        hands.give(turn("a"), 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Only(2));
        assert_eq!(hands.runs.lock().expect("no panic").count, 0);
    }

    #[test]
    fn too_many_runs_are_not_counted() {
        let (hands, now) = (Hands::default(), Instant::now());
        for delivery in 0..=RUNS_COUNT_MAX as u64 {
            hands.give(turn(&format!("instance-{delivery}")), delivery, now);
        }
        assert_eq!(hands.end_one(&turn("instance-7"), now), Whose::Unclear(vec![]));
        hands.give(turn("b"), 1, now);
        assert_eq!(hands.end_one(&turn("b"), now), Whose::Unclear(vec![]));
    }
}
