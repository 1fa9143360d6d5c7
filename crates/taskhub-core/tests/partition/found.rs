//! A partition is handed inputs and says what it decides: bugs that the simulator found, by hand.

use std::sync::Arc;

use taskhub_core::{
    Answer, CallId, Change, Done, Envelope, Epoch, ExecutionId, InstanceId, Limits, Message,
    MessageId, Parent, PartitionId, Piece, Record, Refusal, Request, RequestId, Reuse,
    RuntimeStatus, Started, TaskResult, Text, Ticket, Timestamp, TurnRecord, Verb,
    partition::{Decisions, Effect, Input, Partition, Read},
    store::StoreError,
    turn::{Command, ContinueAsNew, Functions, Orchestration, Run, Scope},
};

use crate::kept::Kept;

/// Goes on as a new execution as often as its input says, then waits for two events.
struct Code;

impl Functions for Code {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(self)
    }
}

impl Orchestration for Code {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(async move {
            let rounds: u32 = input.as_deref().and_then(|it| it.parse().ok()).unwrap_or(0);
            if rounds > 0 {
                let input = Some((rounds - 1).to_string().into());
                let how = ContinueAsNew { input, keep_events: true, ..Default::default() };
                scope.continue_as_new(how);
                return Ok(None);
            }
            let first = scope.call(Command::Event { name: "go".into() }).await?;
            scope.call(Command::Event { name: "go".into() }).await?;
            Ok(first)
        })
    }
}

/// A partition with a store of the simplest kind behind it.
struct Bench {
    partition: Partition,
    stored: Kept,
}

const NOW: Timestamp = Timestamp(1_000_000);

impl Bench {
    fn new(limits: &Limits) -> Self {
        // A sample would leave the memory at a moment that no test here speaks of.
        let limits = &Limits { replay_samples: 0, ..limits.clone() };
        let stored = Kept::default();
        Self { partition: stored.open(Epoch(1), Arc::new(Code), limits), stored }
    }

    fn handle(&mut self, inputs: Vec<Input>, now: Timestamp) -> Decisions {
        let mut decisions = Decisions::default();
        self.partition.handle(inputs, now, &mut decisions);
        decisions
    }

    /// Commits turns, serves reads and hands back what comes, until nothing happens any more.
    fn settle(&mut self, mut inputs: Vec<Input>) -> (Vec<TurnRecord>, Vec<Effect>) {
        let (mut turns, mut effects) = (Vec::new(), Vec::new());
        while !inputs.is_empty() || self.partition.next_wake().is_some_and(|at| at <= NOW) {
            let decided = self.handle(std::mem::take(&mut inputs), NOW);
            for turn in &decided.turns {
                self.stored.write(turn);
                inputs.push(Input::Durable(turn.seq));
            }
            let held = decided.effects.iter().filter_map(|effect| match effect {
                Effect::Read(read) => Some(read.clone()),
                _ => None,
            });
            let reads = decided.reads.iter().cloned().chain(held);
            inputs.extend(reads.map(|read| self.stored.read(read)));
            turns.extend(decided.turns);
            effects.extend(decided.effects);
        }
        (turns, effects)
    }

    fn record(&self, id: &InstanceId) -> &Record {
        &self.stored[id].record
    }
}

fn ask(number: u64, instance: &InstanceId, verb: Verb) -> Input {
    Input::Request(Request { id: RequestId(number), instance: instance.clone(), verb })
}

fn start(number: u64, instance: &InstanceId, reuse: Reuse, input: Option<&str>) -> Input {
    let execution = ExecutionId(u128::from(number));
    let started = Box::new(Started::new("code", input.map(Text::from), execution));
    ask(number, instance, Verb::Start { started, reuse })
}

fn deliver(number: u64, to: &InstanceId, message: Message) -> Input {
    let id = MessageId { from: PartitionId(1), epoch: Epoch(1), number };
    Input::Deliver(Envelope { id, to: to.clone(), partition: PartitionId(0), message })
}

fn event(name: &str) -> Message {
    Message::Raise { name: name.into(), input: None }
}

/// A partition with the instance `a`, which waits for two events.
fn with_one_instance() -> (Bench, InstanceId) {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    bench.settle(vec![start(1, &id, Reuse::ended(), None)]);
    (bench, id)
}

/// A partition with the instance `a`, which an instance elsewhere called.
fn with_one_child() -> (Bench, InstanceId) {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    let parent = Parent {
        instance: InstanceId::trusted("parent"),
        execution: ExecutionId(5),
        name: "code".into(),
        call: CallId(6),
    };
    let started = Started { parent: Some(parent), ..Started::new("code", None, ExecutionId(7)) };
    bench.settle(vec![deliver(100, &id, Message::Start(Box::new(started)))]);
    (bench, id)
}

fn terminate(call: u32) -> Message {
    let child_of = Some((ExecutionId(5), CallId(call)));
    Message::Terminate { child_of, reason: None, recursive: false }
}

#[test]
fn a_parent_terminates_only_its_own_child() {
    let (mut bench, id) = with_one_child();
    bench.settle(vec![deliver(1, &id, terminate(4))]);
    assert_eq!(bench.record(&id).status, RuntimeStatus::Running);
    bench.settle(vec![deliver(2, &id, terminate(6))]);
    assert_eq!(bench.record(&id).status, RuntimeStatus::Terminated);
}

#[test]
fn a_terminate_is_taken_by_the_turn_that_ends_the_instance() {
    let (mut bench, id) = with_one_child();
    let raise = ask(2, &id, Verb::Raise { name: "go".into(), input: None });
    let decided = bench.handle(vec![raise, deliver(1, &id, terminate(6))], NOW);
    let taking = decided.turns.iter().find(|turn| !turn.taken.is_empty());
    let Some(Change::Write { record, .. }) = taking.map(|turn| &turn.change) else {
        panic!("{decided:?}")
    };
    assert_eq!(record.status, RuntimeStatus::Terminated);
}

#[test]
fn the_end_of_an_instance_is_written_before_messages_are_dropped_for_it() {
    let (mut bench, id) = with_one_child();
    let inputs = vec![deliver(1, &id, terminate(6)), deliver(2, &id, event("go"))];
    let decided = bench.handle(inputs, NOW);
    assert!(matches!(decided.turns[0].change, Change::Write { .. }), "{decided:?}");
    assert_eq!(decided.turns[1].change, Change::Nothing);
}

#[test]
fn a_message_that_comes_again_long_after_it_was_taken_is_not_taken_again() {
    let (mut bench, id) = with_one_instance();
    for number in [3, 1, 2] {
        bench.settle(vec![deliver(number, &id, event("other"))]);
    }
    for number in [1, 2, 3] {
        let (turns, _) = bench.settle(vec![deliver(number, &id, event("other"))]);
        assert_eq!(turns, [], "message {number}");
    }
}

#[test]
fn an_instance_that_could_not_be_read_is_read_again_whatever_else_waits() {
    let id = InstanceId::trusted("a");
    let limits = Limits { wakes_count_max: 1, ..Limits::default() };
    let mut bench = Bench::new(&limits);
    for name in ["x", "y", "z"] {
        let start_at = Some(Timestamp(NOW.0 + 1));
        let started = Started { start_at, ..Started::new("code", None, ExecutionId(9)) };
        let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
        bench.settle(vec![ask(7, &InstanceId::trusted(name), verb)]);
    }
    let decided = bench.handle(vec![deliver(1, &id, event("go"))], NOW);
    assert_eq!(decided.reads, [Read::Instance(id.clone())]);
    let failed = Err(StoreError::Unavailable("for now".to_owned()));
    bench.handle(vec![Input::Loaded(id.clone(), failed)], NOW);
    let decided = bench.handle(Vec::new(), Timestamp(NOW.0 + 1_000_000));
    assert!(decided.reads.contains(&Read::Instance(id)), "{decided:?}");
}

#[test]
fn a_start_that_is_said_to_be_fresh_and_is_not_is_refused_and_never_written_behind_a_history() {
    let (mut bench, id) = with_one_instance();
    let mut other = Bench::new(&Limits::default());
    std::mem::swap(&mut other.stored, &mut bench.stored);
    let decided = other.handle(vec![start(2, &id, Reuse::Fresh, None)], NOW);
    assert_eq!(decided.reads, [Read::Instance(id.clone())], "somebody chose this id");
    let stored = other.stored.get(&id).cloned().map(Box::new);
    let (turns, effects) = other.settle(vec![Input::Loaded(id.clone(), Ok(stored))]);
    let refused = Answer::Refused(Refusal::Exists(id, RuntimeStatus::Running));
    assert_eq!((turns, effects), (Vec::new(), vec![Effect::Answer(RequestId(2), refused)]));
    let fresh = InstanceId::fresh(ExecutionId(3));
    let decided = other.handle(vec![start(3, &fresh, Reuse::Fresh, None)], NOW);
    assert!(decided.reads.is_empty() && !decided.turns.is_empty(), "nobody can have this one");
}

#[test]
fn a_result_is_not_refused_because_its_instance_has_to_be_read_first() {
    let limits = Limits { backlog_count_max: 1, cache_bytes_max: 0, ..Limits::default() };
    let (mut bench, id) = (Bench::new(&limits), InstanceId::trusted("a"));
    bench.settle(vec![start(1, &id, Reuse::ended(), None)]);
    let (partition, epoch, piece) = (PartitionId(0), Epoch(1), Piece::Activity(CallId(7)));
    let ticket =
        Ticket { partition, epoch, instance: id.clone(), execution: ExecutionId(1), piece };
    let finish = Verb::Finish(Box::new(TaskResult { ticket, done: Done::Activity(Ok(None)) }));
    bench.handle(vec![ask(2, &id, Verb::Status), ask(3, &id, finish)], NOW);
    let failed = Err(StoreError::Unavailable("for now".to_owned()));
    let refused = bench.handle(vec![Input::Loaded(id.clone(), failed)], NOW).effects;
    let stored = bench.stored.get(&id).cloned().map(Box::new);
    let again = bench.handle(Vec::new(), Timestamp(NOW.0 + 1_000_000));
    assert_eq!(again.reads, [Read::Instance(id.clone())]);
    let answered = bench.handle(vec![Input::Loaded(id, Ok(stored))], NOW).effects;
    let to = |effects: Vec<Effect>| -> Vec<u64> {
        let to = effects.into_iter().filter_map(|effect| match effect {
            Effect::Answer(to, _) => Some(to.0),
            _ => None,
        });
        to.collect()
    };
    assert_eq!((to(refused), to(answered)), (vec![2], vec![3]));
}

#[test]
fn an_execution_that_goes_on_is_not_forgotten_when_memory_is_short() {
    let id = InstanceId::trusted("a");
    let limits = Limits { continues_in_row_max: 1, cache_bytes_max: 0, ..Limits::default() };
    let mut bench = Bench::new(&limits);
    bench.settle(vec![start(1, &id, Reuse::ended(), Some("5"))]);
    assert_eq!(bench.record(&id).status, RuntimeStatus::Running);
}

#[test]
fn whoever_waits_for_an_instance_hears_when_it_is_replaced() {
    let (mut bench, id) = with_one_instance();
    bench.settle(vec![ask(2, &id, Verb::Wait)]);
    let reuse = Reuse::Replace(vec![RuntimeStatus::Running]);
    let (_, effects) = bench.settle(vec![start(3, &id, reuse, None)]);
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Answer(RequestId(2), Answer::Status(record)) => Some(record.status),
        _ => None,
    });
    assert_eq!(told, Some(RuntimeStatus::Terminated));
    assert_eq!(bench.record(&id).execution, ExecutionId(3));
}

/// Who was told that the instance stands where, in order.
fn told(effects: &[Effect]) -> Vec<(u64, RuntimeStatus)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Answer(RequestId(number), Answer::Status(record)) => Some((*number, record.status)),
        _ => None,
    });
    told.collect()
}

#[test]
fn whoever_waits_for_the_start_hears_when_the_first_turn_has_run() {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    let at = Timestamp(NOW.0 + 1_000_000);
    let started = Started { start_at: Some(at), ..Started::new("code", None, ExecutionId(1)) };
    let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
    let waits = (2..=4).map(|number| ask(number, &id, Verb::WaitStart));
    let waits = waits.chain([ask(5, &id, Verb::Wait)]);
    let (_, effects) = bench.settle([ask(1, &id, verb)].into_iter().chain(waits).collect());
    assert_eq!(told(&effects), []);
    bench.settle(vec![Input::Forget(RequestId(3))]);
    let decided = bench.handle(Vec::new(), at);
    assert_eq!(decided.effects, [], "nobody hears of what is not durable");
    let seq = decided.turns[0].seq;
    let decided = bench.handle(vec![Input::Durable(seq)], at);
    let running = RuntimeStatus::Running;
    assert_eq!(told(&decided.effects), [(2, running), (4, running)]);
}

#[test]
fn whoever_waits_for_the_start_hears_when_it_ends_without_one() {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    let start_at = Some(Timestamp(NOW.0 + 1_000_000));
    let started = Started { start_at, ..Started::new("code", None, ExecutionId(1)) };
    let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
    bench.settle(vec![ask(1, &id, verb), ask(2, &id, Verb::WaitStart)]);
    let terminate = Verb::Terminate { reason: None, recursive: false };
    let (_, effects) = bench.settle(vec![ask(3, &id, terminate)]);
    assert_eq!(told(&effects), [(2, RuntimeStatus::Terminated)]);
    let (_, effects) = bench.settle(vec![ask(4, &id, Verb::WaitStart)]);
    assert_eq!(told(&effects), [(4, RuntimeStatus::Terminated)]);
}

#[test]
fn a_deadline_ends_an_instance_that_was_suspended_before_it_could_start() {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    let later = |seconds: i64| Timestamp(NOW.0 + seconds * 1_000_000);
    let (start_at, deadline) = (Some(later(1)), Some(later(5)));
    let started = Started { start_at, deadline, ..Started::new("code", None, ExecutionId(1)) };
    let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
    bench.settle(vec![ask(1, &id, verb), ask(2, &id, Verb::Suspend { reason: None })]);
    bench.handle(Vec::new(), later(2));
    assert_eq!(bench.partition.next_wake(), deadline);
    let decided = bench.handle(Vec::new(), later(5));
    let Some(Change::Write { record, .. }) = decided.turns.last().map(|turn| &turn.change) else {
        panic!("{decided:?}")
    };
    assert_eq!(record.status, RuntimeStatus::Terminated);
}

#[test]
fn who_expects_an_instance_waits_until_somebody_starts_it_and_again_when_it_is_purged() {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits::default());
    let waits = [ask(1, &id, Verb::Expect), ask(2, &id, Verb::ExpectStart)];
    let (_, effects) = bench.settle(waits.into_iter().collect());
    assert_eq!(effects, [], "nobody has started it");
    let (_, effects) = bench.settle(vec![start(3, &id, Reuse::ended(), None)]);
    assert_eq!(told(&effects), [(2, RuntimeStatus::Running)]);
    let terminate = || Verb::Terminate { reason: None, recursive: false };
    let (_, effects) = bench.settle(vec![ask(4, &id, terminate())]);
    assert_eq!(told(&effects), [(1, RuntimeStatus::Terminated)]);

    let later = Some(Timestamp(NOW.0 + 1_000_000));
    let started = Started { start_at: later, ..Started::new("code", None, ExecutionId(1)) };
    let verb = Verb::Start { started: Box::new(started), reuse: Reuse::ended() };
    let waits = [(6, Verb::Expect), (7, Verb::ExpectStart), (8, Verb::ExpectStart)];
    let waits = waits.map(|(number, verb)| ask(number, &id, verb));
    bench.settle([ask(5, &id, verb)].into_iter().chain(waits).collect());
    bench.settle(vec![Input::Forget(RequestId(8))]);
    let verbs = [ask(9, &id, terminate()), ask(10, &id, Verb::Purge)];
    let (_, effects) = bench.settle(verbs.into_iter().collect());
    assert_eq!(told(&effects), [(7, RuntimeStatus::Terminated), (6, RuntimeStatus::Terminated)]);
}

#[test]
fn of_two_that_are_not_started_and_are_read_at_once_only_one_gets_the_last_place_for_early_events()
{
    let limits = Limits { early_instances_max: 1, ..Limits::default() };
    let mut bench = Bench::new(&limits);
    let early = |number, id: &str| {
        let until = Timestamp(NOW.0 + 1_000_000);
        let verb = Verb::RaiseEarly { name: "go".into(), input: None, until };
        ask(number, &InstanceId::trusted(id), verb)
    };
    let (_, effects) = bench.settle(vec![early(1, "a"), early(2, "b")]);
    let kept = |it: &&Effect| matches!(it, Effect::Answer(_, Answer::Done));
    let busy = |it: &&Effect| matches!(it, Effect::Answer(_, Answer::Refused(Refusal::Busy(_))));
    let count = (effects.iter().filter(kept).count(), effects.iter().filter(busy).count());
    assert_eq!(count, (1, 1), "{effects:?}");
}

#[test]
fn who_is_suspended_can_be_resumed_however_much_waits_for_it() {
    let id = InstanceId::trusted("a");
    let mut bench = Bench::new(&Limits { backlog_count_max: 2, ..Limits::default() });
    bench.settle(vec![start(1, &id, Reuse::Fresh, None)]);
    bench.settle(vec![ask(2, &id, Verb::Suspend { reason: None })]);
    let raise = || Verb::Raise { name: "go".into(), input: None };
    for number in 3..5 {
        bench.settle(vec![ask(number, &id, raise())]);
    }
    let (_, effects) = bench.settle(vec![ask(5, &id, raise())]);
    assert!(matches!(effects[..], [Effect::Answer(_, Answer::Refused(Refusal::Busy(_)))]));
    let (_, effects) = bench.settle(vec![ask(6, &id, Verb::Resume { reason: None })]);
    assert_eq!(effects, [Effect::Answer(RequestId(6), Answer::Done)]);
}
