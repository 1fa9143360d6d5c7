//! Random batches, against a model.

use std::cell::RefCell;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use taskhub_core::{
    Batch, Change, ExecutionId, HistoryChange, InstanceId, PartitionId, Record, RuntimeStatus,
    Timestamp, TurnRecord,
    store::{Filter, Order, Which},
};

use super::{
    Fixture,
    commits::full_record,
    hub::{Hub, envelope, events, hidden, partition, purge, running, turn, write},
    model::Model,
};

const IDS: [&str; 8] = ["a", "b", "order-1", "order-2", "Ünïcödé", "'; --", "0", "@counter@a"];

/// One turn, as far as it can be said without knowing the state that it meets.
#[derive(Debug, Clone)]
struct Op {
    who: usize,
    what: What,
    /// What the record looks like.
    look: [usize; 10],
    /// To whom messages go.
    sends: Vec<usize>,
    /// Which of the messages that wait in the partition it takes.
    takes: Vec<usize>,
}

#[derive(Debug, Clone)]
enum What {
    Keep,
    Append(u32),
    Replace(u32),
    Purge,
    Nothing,
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Op>),
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let what = prop_oneof![
        2 => Just(What::Keep),
        6 => (0..4_u32).prop_map(What::Append),
        1 => (0..3_u32).prop_map(What::Replace),
        1 => Just(What::Purge),
        1 => Just(What::Nothing),
    ];
    let look = proptest::array::uniform10(0..256_usize);
    let (sends, takes) = (vec(0..IDS.len(), 0..3), vec(0..8_usize, 0..3));
    (0..IDS.len(), what, look, sends, takes).prop_map(|(who, what, look, sends, takes)| Op {
        who,
        what,
        look,
        sends,
        takes,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![9 => vec(op(), 0..8).prop_map(Step::Commit), 1 => Just(Step::Reopen)]
}

/// After each step the store gives the answers that the model gives.
pub fn any_batches_leave_what_the_model_says(fixture: &mut impl Fixture) {
    let mut runner = TestRunner::new(Config {
        cases: 48,
        failure_persistence: None,
        // Each try needs the hub to be emptied, which takes as long as filling it.
        max_shrink_iters: 200,
        ..Config::default()
    });
    let state = RefCell::new((Hub::open(fixture), fixture));
    let outcome = runner.run(&vec(step(), 1..14), |steps| {
        let (hub, fixture) = &mut *state.borrow_mut();
        empty(hub);
        let mut model = Model::default();
        let mut sent = 0;
        for step in steps {
            match step {
                Step::Commit(ops) => {
                    let batch = hub.batch(turns(&model, &ops, &mut sent));
                    hub.store.commit(&batch).expect("the batch is valid");
                    model.apply(&batch);
                }
                Step::Reopen => hub.reopen(*fixture),
            }
            model.compare(hub, &IDS, &filters());
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn empty(hub: &Hub) {
    hub.commit(IDS.map(purge));
    let taken = |number: u16| {
        let own = IDS.into_iter().find(|id| partition(id) == PartitionId(number));
        let ids = hub.inbox(number).into_iter().map(|envelope| envelope.id).collect();
        own.map(|id| TurnRecord { taken: ids, ..turn(id) })
    };
    hub.commit((0..super::PARTITIONS).filter_map(taken));
}

/// The turns of one batch: each builds on those before it.
fn turns(model: &Model, ops: &[Op], sent: &mut u64) -> Vec<TurnRecord> {
    let mut model = model.clone();
    let mut turns = Vec::new();
    for op in ops {
        let id = IDS[op.who];
        let count = model
            .instances
            .get(&InstanceId::trusted(id))
            .map_or(0, |(_, events)| u32::try_from(events.len()).unwrap_or(u32::MAX));
        let mut made = match op.what {
            What::Nothing => turn(id),
            What::Purge => purge(id),
            What::Keep => write(id, record(op.look, count), HistoryChange::Keep),
            What::Append(more) => {
                let events = events(&(count..count + more));
                let append = HistoryChange::Append { at: count.into(), events };
                write(id, record(op.look, count + more), append)
            }
            What::Replace(count) => {
                let events = events(&(100..100 + count));
                write(id, record(op.look, count), HistoryChange::Replace { events })
            }
        };
        let waits = model.waiting.iter().filter(|envelope| envelope.partition == made.partition);
        let waits: Vec<_> = waits.map(|envelope| envelope.id).collect();
        if op.look[9] % 2 == 0 && shows_nothing_new(&model, &made) {
            made = hidden(made);
        }
        made.taken = op.takes.iter().filter_map(|n| waits.get(*n).copied()).collect();
        made.sent = op
            .sends
            .iter()
            .map(|to| {
                *sent += 1;
                envelope(made.partition.0, *sent, IDS[*to])
            })
            .collect();
        let batch = Batch { owners: Vec::new(), turns: vec![made] };
        model.apply(&batch);
        turns.extend(batch.turns);
    }
    turns
}

fn shows_nothing_new(model: &Model, turn: &TurnRecord) -> bool {
    let Change::Write { record, .. } = &turn.change else { return false };
    model.instances.get(&turn.instance).is_some_and(|(before, _)| {
        before.custom_status == record.custom_status && before.outcome == record.outcome
    })
}

/// A record whose fields follow from `look`.
fn record(look: [usize; 10], count: u32) -> Record {
    const TIMES: [i64; 7] = [i64::MIN, -1, 0, 1, 5, 1_700_000_000_000_000, i64::MAX];
    let [status, created, updated, completed, due, stuck, outcome, tags, parent, custom] = look;
    let time = |pick: usize| Timestamp(TIMES[pick % TIMES.len()]);
    let full = full_record();
    let status = RuntimeStatus::ALL[status % 8];
    Record {
        status,
        created_at: time(created),
        updated_at: time(updated),
        completed_at: status.is_terminal().then(|| time(completed)),
        due: (due < 128).then(|| time(due)),
        busy: due % 3 == 0,
        stuck: full.stuck.filter(|_| stuck < 64),
        outcome: match outcome {
            0..64 => full.outcome,
            64..128 => Some(Ok(Some("long".repeat(1_000).into()))),
            _ => None,
        },
        tags: if tags < 64 { full.tags } else { running(0).tags },
        parent: full.parent.filter(|_| parent < 64),
        custom_status: match custom {
            0..64 => full.custom_status,
            64..192 => Some("long".repeat(1_000).into()),
            _ => None,
        },
        execution: if custom % 8 == 0 { full.execution } else { ExecutionId(1) },
        ..running(count.into())
    }
}

fn filters() -> [Filter; 9] {
    let any = || Filter { limit: 3, ..Filter::default() };
    let ended = || Filter { order: Order::Completed, kind: Which::All, ..any() };
    [
        any(),
        Filter { statuses: vec![RuntimeStatus::Failed], ..any() },
        Filter { statuses: vec![RuntimeStatus::Running, RuntimeStatus::Pending], ..any() },
        Filter { stuck: true, ..any() },
        Filter { prefix: Some("order".into()), completed_from: Some(Timestamp(0)), ..any() },
        Filter { created_from: Some(Timestamp(0)), created_to: Some(Timestamp(6)), ..any() },
        Filter { kind: Which::Entities, ..any() },
        ended(),
        Filter { completed_from: Some(Timestamp(0)), updated_to: Some(Timestamp(9)), ..ended() },
    ]
}
