//! What the workers of one connection have in hand, for SDKs that send no completion token.
//!
//! The SDK of Go and older ones of Java say of which instance and task a result is, but not of
//! which delivery. So a result without a token counts for the delivery of that on its connection,
//! or, if the same was given out several times, for any of them: the code was given the same. But
//! where an earlier turn of the instance may still go on, or one of an earlier execution, nobody
//! knows whose it is: it counts for none, and the work is given back.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foldhash::HashMap;
use taskhub_core::{CallId, ExecutionId, InstanceId, Piece, Ticket};
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
    /// Of any of these, which are all of the same; the latest is the last.
    Any(Vec<DeliveryId>),
    /// Of one of these, and it matters which; or of none that is known.
    Unclear(Vec<DeliveryId>),
}

/// The runs that have not ended, on one connection.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    runs: Mutex<Runs>,
}

/// What was given out, and when.
#[derive(Debug)]
struct Run {
    delivery: DeliveryId,
    of: (ExecutionId, Piece),
    since: Instant,
}

#[derive(Debug, Default)]
struct Runs {
    by_work: HashMap<Work, Vec<Run>>,
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
    pub(super) fn give(&self, hub: &HubName, ticket: &Ticket, delivery: DeliveryId, now: Instant) {
        let Some(work) = Work::of(hub, ticket) else { return };
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.count == RUNS_COUNT_MAX {
            tracing::warn!("too many deliveries on one connection to take results without tokens");
            *runs = Runs { lost_count: true, ..Runs::default() };
        }
        if !runs.lost_count {
            runs.count += 1;
            let run = Run { delivery, of: (ticket.execution, ticket.piece), since: now };
            runs.by_work.entry(work).or_default().push(run);
        }
    }

    /// Whether none of what was given out matters here.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).count == 0
    }

    /// A run ended, and said which it was.
    pub(super) fn end(&self, work: &Work, delivery: DeliveryId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut given) = runs.by_work.remove(work) else { return };
        runs.count -= given.len();
        given.retain(|it| it.delivery != delivery);
        runs.keep(work, given);
    }

    /// A run ended, and did not say which it was.
    pub(super) fn end_one(&self, work: &Work, now: Instant) -> Whose {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given = runs.by_work.remove(work).unwrap_or_default();
        runs.count -= given.len();
        if given.len() > 1 {
            // What is given out anew because it took too long is taken for lost.
            given.retain(|run| now.duration_since(run.since) < work.patience());
        }
        let all = given.iter().map(|run| run.delivery).collect();
        let same = given.first().is_some_and(|first| given.iter().all(|run| run.of == first.of));
        // Which of them is forgotten makes no difference: it is their number that tells.
        given.pop();
        runs.keep(work, given);
        if same { Whose::Any(all) } else { Whose::Unclear(all) }
    }
}

impl Runs {
    fn keep(&mut self, work: &Work, given: Vec<Run>) {
        if !given.is_empty() {
            self.count += given.len();
            self.by_work.insert(work.clone(), given);
        }
    }
}

#[cfg(test)]
mod tests {
    use taskhub_core::{Epoch, PartitionId};

    use super::*;

    fn hub() -> HubName {
        HubName::parse("orders").expect("a name")
    }

    fn turn(instance: &str) -> Work {
        Work { hub: hub(), instance: InstanceId::parse(instance).expect("an id"), call: None }
    }

    /// The turn of an instance that begins at this event is given out.
    fn give(hands: &Hands, instance: &str, event: u64, delivery: DeliveryId, now: Instant) {
        let ticket = Ticket {
            partition: PartitionId(0),
            epoch: Epoch(0),
            instance: InstanceId::parse(instance).expect("an id"),
            execution: ExecutionId(1),
            piece: Piece::Turn(event),
        };
        hands.give(&hub(), &ticket, delivery, now);
    }

    #[test]
    fn a_result_without_a_token_is_that_of_the_only_run() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        give(&hands, "b", 0, 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Any(vec![1]));
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Unclear(vec![]));
        assert_eq!(hands.end_one(&turn("b"), now), Whose::Any(vec![2]));
    }

    #[test]
    fn a_result_is_of_any_run_of_the_same() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        give(&hands, "a", 0, 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Any(vec![1, 2]));
    }

    #[test]
    fn a_result_is_of_none_until_runs_of_earlier_turns_have_ended() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        give(&hands, "a", 3, 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Unclear(vec![1, 2]));
        give(&hands, "a", 3, 3, now);
        assert!(matches!(hands.end_one(&turn("a"), now), Whose::Unclear(_)));
        assert!(matches!(hands.end_one(&turn("a"), now), Whose::Any(_)));
        give(&hands, "a", 3, 4, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Any(vec![4]));
    }

    #[test]
    fn a_run_that_is_lost_stands_in_the_way_for_a_while_only() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        let later = now + turn("a").patience();
        give(&hands, "a", 3, 2, later);
        assert_eq!(hands.end_one(&turn("a"), later), Whose::Any(vec![2]));
    }

    #[test]
    fn a_run_that_takes_long_counts_when_it_is_the_only_one() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        assert_eq!(hands.end_one(&turn("a"), now + 2 * turn("a").patience()), Whose::Any(vec![1]));
    }

    #[test]
    fn a_run_that_ended_with_its_token_is_over() {
        let (hands, now) = (Hands::default(), Instant::now());
        give(&hands, "a", 0, 1, now);
        hands.end(&turn("a"), 1);
        hands.end(&turn("a"), 1);
        give(&hands, "a", 3, 2, now);
        assert_eq!(hands.end_one(&turn("a"), now), Whose::Any(vec![2]));
        assert_eq!(hands.runs.lock().expect("no panic").count, 0);
    }

    #[test]
    fn too_many_runs_are_not_counted() {
        let (hands, now) = (Hands::default(), Instant::now());
        for delivery in 0..=RUNS_COUNT_MAX as u64 {
            give(&hands, &format!("instance-{delivery}"), 0, delivery, now);
        }
        assert_eq!(hands.end_one(&turn("instance-7"), now), Whose::Unclear(vec![]));
        give(&hands, "b", 0, 1, now);
        assert_eq!(hands.end_one(&turn("b"), now), Whose::Unclear(vec![]));
    }
}
