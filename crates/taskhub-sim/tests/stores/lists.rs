//! A partition on a store with both of its lists: who is due wakes up, who has work goes on, and
//! memory stays bounded, whatever hangs.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use taskhub_core::{
    Batch, Done, ExecutionId, InstanceId, Job, Limits, PartitionId, Record, Request, RequestId,
    Reuse, RuntimeStatus, Started, Task, TaskResult, Text, Timestamp, Verb, Work,
    partition::{Decisions, Effect, Input, Partition, Read},
    store::{Node, Store, Wake},
    turn::{Command, Functions, Orchestration, Run, Scope},
};
use taskhub_engine::store::MemoryStore;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn later(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1_000_000)
}

/// An activity that nobody does. It is called by who has it as input.
const NOBODY: &str = "nobody";

/// Calls an activity, and waits for a timer besides if its input says when.
#[derive(Clone, Copy)]
enum Code {
    Sound,
    /// Calls something else than it did before.
    Changed,
    Missing,
}

impl Functions for Code {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        (!matches!(self, Self::Missing)).then_some(self)
    }
}

impl Orchestration for Code {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        let name = match input.as_deref() {
            Some(NOBODY) => NOBODY,
            _ if matches!(self, Self::Changed) => "another",
            _ => "activity",
        };
        Box::pin(async move {
            let work = Work::new(name, None);
            let activity = scope.call(Command::Activity(work));
            let Some(seconds) = input.and_then(|text| text.parse().ok()) else {
                return activity.await;
            };
            let timer = scope.call(Command::Timer { fire_at: later(seconds) });
            futures::future::join(activity, timer).await.0
        })
    }
}

/// One partition on a store; activities hang until a test ends them.
struct Bench {
    store: MemoryStore,
    partition: Partition,
    now: Timestamp,
    hanging: VecDeque<Task>,
    /// Every instance that was read, in order.
    loads: Vec<InstanceId>,
    started: u64,
    /// The most wakes and busy instances that were in memory.
    listed_max: (usize, usize),
}

impl Bench {
    fn new(limits: &Limits, code: Code) -> Self {
        let store = MemoryStore::new(1);
        let partition = open(&store, limits, code);
        let (hanging, loads) = (VecDeque::new(), Vec::new());
        Self { store, partition, now: NOW, hanging, loads, started: 0, listed_max: (0, 0) }
    }

    /// The process dies, and another one takes over.
    fn reopen(&mut self, limits: &Limits, code: Code) {
        self.partition = open(&self.store, limits, code);
        self.hanging.clear();
        self.loads.clear();
        self.settle(Vec::new());
    }

    fn start(&mut self, started: Started) -> InstanceId {
        self.started += 1;
        let id = InstanceId::trusted(format!("i{:03}", self.started));
        let verb = Verb::Start { started: Box::new(started), reuse: Reuse::Fresh };
        let request = Request { id: RequestId(self.started), instance: id.clone(), verb };
        self.settle(vec![Input::Request(request)]);
        id
    }

    /// Commits turns, serves reads and hands back what comes, until nothing happens any more.
    fn settle(&mut self, mut inputs: Vec<Input>) {
        for _ in 0..10_000 {
            let woken = self.partition.next_wake().is_some_and(|at| at <= self.now);
            if inputs.is_empty() && !woken {
                return;
            }
            let mut decided = Decisions::default();
            self.partition.handle(std::mem::take(&mut inputs), self.now, &mut decided);
            let (wakes, busy) = self.partition.listed();
            let (wakes_max, busy_max) = self.listed_max;
            self.listed_max = (wakes_max.max(wakes), busy_max.max(busy));
            // What is asked for now is read from what was committed before.
            for read in decided.reads {
                inputs.push(self.read(read));
            }
            if let Some(last) = decided.turns.last() {
                inputs.push(Input::Durable(last.seq));
                let owned = self.partition.owned();
                let owners = vec![(owned.partition, owned.epoch)];
                let batch = Batch { owners, turns: decided.turns };
                self.store.commit(&batch).expect("it owns the partition");
            }
            for effect in decided.effects {
                match effect {
                    Effect::Dispatch(task) => self.hanging.push_back(task),
                    Effect::Read(read) => inputs.push(self.read(read)),
                    _ => {}
                }
            }
        }
        panic!("it comes to no rest; next at {:?}", self.partition.next_wake());
    }

    fn read(&mut self, read: Read) -> Input {
        let (id, store) = (PartitionId(0), &self.store);
        match read {
            Read::Instance(id) | Read::Whole(id) => {
                self.loads.push(id.clone());
                let loaded = store.load_whole(&id).map(|stored| stored.map(Box::new));
                Input::Loaded(id, loaded)
            }
            Read::Wakes { after, limit } => Input::Wakes(store.wakes(id, after.as_ref(), limit)),
            Read::Busy { after, limit } => Input::Busy(store.busy(id, after.as_ref(), limit)),
        }
    }

    /// Ends the activity that hangs longest. Whether there was one.
    fn end_one(&mut self) -> bool {
        let Some(task) = self.hanging.pop_front() else { return false };
        let result = TaskResult { ticket: task.ticket, done: Done::Activity(Ok(None)) };
        self.settle(vec![Input::TaskDone(result)]);
        true
    }

    /// Lets the clock show a time, and the partition do what is due then.
    fn advance(&mut self, to: Timestamp) {
        self.now = to;
        self.settle(Vec::new());
    }

    /// Lets time pass until the partition has looked at every instance that is busy.
    fn look_at_all(&mut self) {
        let end = self.now.plus(Duration::from_secs(50));
        while let Some(at) = self.partition.next_wake().filter(|at| *at < end) {
            self.advance(at);
        }
    }

    /// Ends activities until none hangs but those that nobody does.
    fn end_all_but_nobody(&mut self) {
        let is_done = |task: &Task| !matches!(&task.job, Job::Activity(it) if &*it.name == NOBODY);
        while let Some(at) = self.hanging.iter().position(is_done) {
            self.hanging.rotate_left(at);
            self.end_one();
        }
    }

    fn record(&self, id: &InstanceId) -> Record {
        self.store.load(id).expect("it can be read").expect("it is there").record
    }
}

fn open(store: &MemoryStore, limits: &Limits, code: Code) -> Partition {
    let wakes = store.wakes(PartitionId(0), None, limits.wakes_count_max);
    open_with(store, wakes.expect("it can be read"), limits, code)
}

fn open_with(store: &MemoryStore, wakes: Vec<Wake>, limits: &Limits, code: Code) -> Partition {
    let node = Node { id: "test".into(), address: "".into(), circle: "".into() };
    let mut owned = store.claim(&node, 1, Duration::ZERO).expect("it can be claimed");
    let owned = owned.pop().expect("its lease has run out");
    let busy = store.busy(owned.partition, None, limits.wakes_count_max);
    let busy = busy.expect("it can be read");
    Partition::open(owned, 1, wakes, busy, Arc::new(code), limits)
}

fn started() -> Started {
    Started::new("code", None, ExecutionId(1))
}

/// Few of everything, and nothing stays in memory without need.
fn narrow(tasks_count_max: usize) -> Limits {
    Limits { wakes_count_max: 4, tasks_count_max, cache_bytes_max: 0, ..Limits::default() }
}

#[test]
fn a_deadline_is_kept_though_every_activity_of_the_partition_hangs() {
    let limits = narrow(2);
    let mut bench = Bench::new(&limits, Code::Sound);
    let deadline = Some(later(60));
    let ids: Vec<_> = (0..50).map(|_| bench.start(Started { deadline, ..started() })).collect();
    bench.reopen(&limits, Code::Sound);
    bench.look_at_all();
    assert_eq!(bench.hanging.len(), 2);
    assert_eq!(bench.partition.next_wake(), deadline);
    bench.advance(later(60));
    for id in ids {
        let record = bench.record(&id);
        assert_eq!(record.status, RuntimeStatus::Terminated, "{id}");
        assert_eq!(record.completed_at, deadline, "{id}");
    }
}

#[test]
fn a_deadline_is_kept_though_the_code_that_was_to_start_before_it_is_missing() {
    let limits = narrow(2);
    let mut bench = Bench::new(&limits, Code::Missing);
    let (start_at, deadline) = (Some(later(5)), Some(later(60)));
    let id = bench.start(Started { start_at, deadline, ..started() });
    bench.advance(later(5));
    let record = bench.record(&id);
    assert_eq!((record.due, record.busy), (deadline, true));
    assert_eq!(bench.partition.next_wake(), deadline);
    bench.advance(later(60));
    assert_eq!(bench.record(&id).status, RuntimeStatus::Terminated);
}

#[test]
fn a_deadline_is_kept_though_a_page_was_read_before_it_changed() {
    for limits in [narrow(2), Limits::default()] {
        let mut bench = Bench::new(&limits, Code::Sound);
        let deadline = Some(later(60));
        let id = bench.start(Started { deadline, ..started() });
        let stale = vec![Wake { at: later(1), instance: id.clone() }];
        bench.partition = open_with(&bench.store, stale, &limits, Code::Sound);
        bench.advance(later(1));
        assert_eq!(bench.partition.next_wake(), deadline);
        bench.advance(later(60));
        assert_eq!(bench.record(&id).status, RuntimeStatus::Terminated);
    }
}

#[test]
fn timers_of_instances_with_activities_out_stay_in_the_store() {
    let limits = narrow(1_000);
    let mut bench = Bench::new(&limits, Code::Sound);
    let input = |n: i64| Some((10 + n * 7 % 100).to_string().into());
    let ids: Vec<_> =
        (0..100).map(|n| bench.start(Started { input: input(n), ..started() })).collect();
    for seconds in 0..120 {
        bench.advance(later(seconds));
        let late = |id: &&InstanceId| bench.record(id).due.is_some_and(|due| due <= bench.now);
        assert_eq!(ids.iter().find(late), None, "after {seconds} s");
    }
    assert_eq!(bench.hanging.len(), 100);
    let (wakes, _) = bench.listed_max;
    assert!(wakes <= 2 * limits.wakes_count_max, "{wakes} wakes are in memory");
}

#[test]
fn what_nobody_does_holds_up_nothing_else() {
    for restarts in [false, true] {
        let limits = narrow(4);
        let mut bench = Bench::new(&limits, Code::Sound);
        let input = Some(NOBODY.into());
        let in_vain: Vec<_> =
            (0..60).map(|_| bench.start(Started { input: input.clone(), ..started() })).collect();
        let ids: Vec<_> = (0..30).map(|_| bench.start(started())).collect();
        if restarts {
            bench.reopen(&limits, Code::Sound);
            bench.look_at_all();
        }
        // Of those that find no room only so many are remembered, the rest is looked for.
        for _ in 0..5 {
            bench.end_all_but_nobody();
            bench.look_at_all();
        }
        for id in ids {
            assert_eq!(bench.record(&id).status, RuntimeStatus::Completed, "{id}, {restarts}");
        }
        assert_eq!(bench.hanging.len(), 4, "one name has only so much");
        while bench.end_one() {}
        for id in in_vain {
            assert_eq!(bench.record(&id).status, RuntimeStatus::Completed, "{id}, {restarts}");
        }
    }
}

#[test]
fn what_was_passed_over_for_want_of_room_goes_on_when_there_is_some() {
    let limits = narrow(1);
    let mut bench = Bench::new(&limits, Code::Sound);
    let ids: Vec<_> = (0..60).map(|_| bench.start(started())).collect();
    while bench.end_one() {}
    for id in ids {
        assert_eq!(bench.record(&id).status, RuntimeStatus::Completed, "{id}");
    }
    let (_, busy) = bench.listed_max;
    assert!(busy <= limits.wakes_count_max + limits.tasks_count_max, "{busy} are in memory");
}

#[test]
fn all_work_goes_on_after_a_restart_though_there_is_room_for_little_of_it() {
    let limits = narrow(3);
    let mut bench = Bench::new(&limits, Code::Missing);
    let ids: Vec<_> = (0..60).map(|_| bench.start(started())).collect();
    bench.reopen(&limits, Code::Sound);
    assert!(bench.loads.len() < 10, "it reads only what there is room for: {:?}", bench.loads);
    while bench.end_one() {}
    for id in ids {
        assert_eq!(bench.record(&id).status, RuntimeStatus::Completed, "{id}");
    }
}

#[test]
fn a_parked_instance_is_read_once_and_goes_on_with_the_right_code() {
    let limits = narrow(100);
    let mut bench = Bench::new(&limits, Code::Sound);
    let ids: Vec<_> = (0..20).map(|_| bench.start(started())).collect();
    // An event waits for each, so that its code runs again, and differs.
    bench.reopen(&limits, Code::Missing);
    for id in &ids {
        let verb = Verb::Raise { name: "e".into(), input: None };
        let request = Request { id: RequestId(7), instance: id.clone(), verb };
        bench.settle(vec![Input::Request(request)]);
    }
    bench.reopen(&limits, Code::Changed);
    assert_eq!(bench.loads, ids);
    for id in &ids {
        let record = bench.record(id);
        assert!(record.stuck.is_some() && record.busy, "{record:?}");
    }
    bench.reopen(&limits, Code::Sound);
    assert_eq!(bench.loads, ids);
    while bench.end_one() {}
    for id in ids {
        let record = bench.record(&id);
        assert_eq!((record.status, record.busy), (RuntimeStatus::Completed, false));
    }
}

#[test]
fn wakes_that_come_while_a_page_is_read_are_neither_lost_nor_late() {
    let limits = Limits { wakes_count_max: 2, cache_bytes_max: 0, ..Limits::default() };
    let mut bench = Bench::new(&limits, Code::Sound);
    let deadline = |seconds| Started { deadline: Some(later(seconds)), ..started() };
    for n in 0..12 {
        bench.start(deadline(10 + n));
    }
    let mut ids = Vec::new();
    for n in 0..12_i64 {
        // Far and near, while one page after the other is asked for.
        let end = 10 + n * 5 % 12 + 6 * (n % 2);
        ids.push((bench.start(deadline(end)), end));
        bench.advance(later(n));
    }
    for seconds in 12..40 {
        bench.advance(later(seconds));
        for (id, end) in &ids {
            let ended = bench.record(id).completed_at.is_some();
            assert_eq!(ended, *end <= seconds, "{id} at {seconds} s");
        }
    }
}
