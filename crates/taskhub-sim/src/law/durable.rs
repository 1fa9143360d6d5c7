//! Promise 4: "Nothing leaves before it is durable: no acknowledgement, reply, activity start or
//! message to elsewhere precedes the commit that caused it."

use taskhub_core::{Answer, InstanceId, Job, Piece, Record, Refusal, RuntimeStatus, Task};

use super::{Violation, ensure};
use crate::{
    chronicle::{Chronicle, Known},
    scenario::Act,
};

/// An answer leaves the node: what it tells was durable at some time between question and answer.
pub(crate) fn on_answer(
    chronicle: &Chronicle,
    instance: &InstanceId,
    act: &Act,
    since: u64,
    answer: &Answer,
) -> Result<(), Violation> {
    let nobody = Known::default();
    let known = chronicle.instances.get(instance).unwrap_or(&nobody);
    let some = |holds: &dyn Fn(&Record) -> bool| known.since(since).flatten().any(holds);
    let was = |status: RuntimeStatus| some(&|record| record.status == status);
    let absent = || known.since(since).any(|record| record.is_none());
    let holds = match (answer, act) {
        (Answer::Started(execution), _) => {
            some(&|record| chronicle.descends(*execution, record.execution))
        }
        (Answer::Status(told), Act::Wait | Act::Expect) => {
            return ensure(told.status.is_terminal() && some(&|record| *record == **told), || {
                let last = known.record();
                let happened = format!("it hears {told:?}, durable is {last:?}");
                Violation::new(9, "a waiter hears exactly what was committed", happened)
            });
        }
        (Answer::Refused(Refusal::NotFound(_)), Act::Expect) => false,
        (Answer::Status(told), _) => some(&|record| *record == **told),
        (Answer::Done, Act::Terminate(_)) => some(&|record| record.status.is_terminal()),
        // A turn elsewhere that began before may end it in the very commit that suspends it.
        (Answer::Done, Act::Suspend) => {
            was(RuntimeStatus::Suspended) || some(&|record| record.status.is_terminal())
        }
        // While it is being read, not even that can be taken.
        (Answer::Refused(Refusal::Busy(why)), Act::Resume | Act::Unlock(_)) => {
            return ensure(!why.contains("events wait"), || {
                let happened = format!("{instance}: {act:?} is refused: {why}");
                Violation::new(11, "what makes room is not refused for want of it", happened)
            });
        }
        (Answer::Done, Act::Resume) => some(&|record| record.status != RuntimeStatus::Suspended),
        (Answer::Done, Act::Rewind) => some(&|record| chronicle.is_rewound(record.execution)),
        (Answer::Done, Act::Purge) | (Answer::Refused(Refusal::NotFound(_)), _) => absent(),
        (
            Answer::Refused(
                Refusal::Exists(_, status)
                | Refusal::Ended(_, status)
                | Refusal::NotEnded(_, status)
                | Refusal::NotFailed(_, status),
            ),
            _,
        ) => was(*status),
        _ => true,
    };
    ensure(holds, || {
        let durable: Vec<_> = known.since(since).collect();
        let happened = format!("{instance}: {act:?} is answered {answer:?}; durable: {durable:?}");
        Violation::new(4, "what an answer tells is durable", happened)
    })
}

/// An activity starts: its call is durable.
pub(crate) fn on_dispatch(chronicle: &Chronicle, task: &Task) -> Result<(), Violation> {
    let ticket = &task.ticket;
    let (call, work) = match (ticket.piece, &task.job) {
        (Piece::Activity(call), Job::Activity(work)) => (call, work),
        (Piece::Turn(events), Job::Turn(turn)) => {
            let history: Vec<_> = turn.history.iter().flat_map(|it| it.iter()).collect();
            let known = chronicle.instances.get(&ticket.instance);
            let now = known.and_then(Known::record).map(|record| record.execution);
            // An execution that has ended meanwhile was durable once, and nobody remembers it.
            let log = known.filter(|_| now == Some(ticket.execution)).map(|known| &known.log);
            let durable = log.is_none_or(|log| log.iter().zip(&history).all(|(a, b)| a == *b));
            let all = log.is_none_or(|log| history.len() <= log.len());
            return ensure(durable && all && events == history.len() as u64, || {
                let happened = format!("{ticket:?} starts with {history:?}, durable is {log:?}");
                Violation::new(4, "a worker sees the durable history", happened)
            });
        }
        _ => return Ok(()),
    };
    let key = (ticket.instance.clone(), ticket.execution, call);
    let scheduled = chronicle.scheduled.get(&key);
    ensure(scheduled == Some(work), || {
        let happened = format!("{ticket:?} starts, durable is {scheduled:?}");
        Violation::new(4, "an activity starts after its call is durable", happened)
    })
}
