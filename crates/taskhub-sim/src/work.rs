//! What the turn threads do: sort the mail, run the partitions, pass on what they decide.

use taskhub_core::{
    Answer, Change, Refusal, Request, TurnRecord, Verb,
    partition::{Effect, Input, Read},
    store::{Ownership, Store as _, StoreError},
};
use taskhub_engine::{Passed, Routed};

use crate::{
    client::signal_of,
    law::{self, Violation},
    node::{Asked, Life, Mail},
    scenario::Act,
    world::{Happening, World},
};

impl World {
    /// Mail arrives at a node; what was meant for a process that is gone is lost.
    pub(crate) fn receive(&mut self, life: Life, mail: Mail) {
        if !self.lives(life) {
            if let Mail::Ask(asked) = mail {
                self.lose(&asked);
            }
            return;
        }
        let node = &mut self.nodes[life.node];
        match mail {
            Mail::Ask(asked) => self.take_request(life, &asked),
            Mail::Forget(request) => {
                let Some(asked) = node.asks.remove(&request) else { return };
                if let Some(waiters) = node.waiters.get_mut(&asked.partition) {
                    waiters.settle(request);
                }
                self.put(life, asked.partition, vec![Input::Forget(request)]);
            }
            Mail::Owned(owner, inputs) => {
                if node.owns(owner) {
                    self.put(life, owner.partition, inputs);
                }
            }
            Mail::Open(opened) => self.open_partition(life, *opened),
            Mail::Found(owner, inbox, all) => {
                let inputs = node.bench(owner.partition).shard.found(owner, inbox, all);
                if !inputs.is_empty() {
                    self.put(life, owner.partition, inputs);
                }
            }
            Mail::Deliver(passed, sent_in) => self.deliver(life, passed, sent_in),
            Mail::Finish(result) => self.take_result(life, result),
            Mail::Input(partition, input) => self.put(life, partition, vec![input]),
            Mail::Look(partition, tell) => self.look_or_hint(life, partition, tell),
        }
    }

    fn take_request(&mut self, life: Life, asked: &Asked) {
        let node = &mut self.nodes[life.node];
        let last = node.last_asked.max(asked.request);
        if std::mem::replace(&mut node.last_asked, last) == last {
            self.coverage.count("reordered: requests");
        }
        let refusal = if node.stopping {
            Some(Refusal::Stopping)
        } else if !node.serves(asked.partition) {
            Some(Refusal::Moved(asked.instance.clone()))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.reply(asked, Answer::Refused(refusal));
        }
        node.asks.insert(asked.request, asked.clone());
        let request = self.request(asked);
        if self.random.chance(self.rates.nodes_miscounted / 4) {
            self.soon(1_000, Happening::Heard(life)); // It looks at its share in the midst of work.
        }
        self.put(life, asked.partition, vec![Input::Request(request)]);
    }

    /// Inputs wait for the next round of their shard.
    pub(crate) fn put(
        &mut self,
        life: Life,
        partition: taskhub_core::PartitionId,
        inputs: Vec<Input>,
    ) {
        let node = &mut self.nodes[life.node];
        let shard = node.shard_of(partition);
        let bench = &mut node.shards[shard];
        bench.inputs.entry(partition).or_default().extend(inputs);
        if !std::mem::replace(&mut bench.busy, true) {
            // A thread that comes late finds more in its mailbox.
            let late = self.random.chance(self.rates.thread_late);
            self.soon(if late { 50_000 } else { 100 }, Happening::Work(life, shard));
        }
    }

    /// A shard looks which of its partitions want to be called.
    pub(crate) fn alarm(&mut self, life: Life, shard: usize) {
        let now = self.nodes[life.node].clock(self.now);
        let bench = &mut self.nodes[life.node].shards[shard];
        bench.alarm = i64::MAX;
        for partition in bench.shard.due(now) {
            self.put(life, partition, Vec::new());
        }
        self.set_alarm(life, shard);
    }

    fn set_alarm(&mut self, life: Life, shard: usize) {
        let node = &mut self.nodes[life.node];
        let clock = node.clock(self.now);
        let bench = &mut node.shards[shard];
        let Some(wake) = bench.shard.next_wake() else { return };
        let wait = i64::try_from(wake.since(clock).as_micros()).unwrap_or(i64::MAX);
        // A thread that has mail looks at it first.
        let soonest = if bench.busy { 5_000 } else { 50 };
        let at = self.now.saturating_add(wait.clamp(soonest, 1_000_000_000));
        if at < bench.alarm {
            bench.alarm = at;
            self.at(at, Happening::Alarm(life, shard));
        }
    }

    /// A shard runs one of its partitions.
    pub(crate) fn work(&mut self, life: Life, shard: usize) -> Result<(), Violation> {
        let clock = self.nodes[life.node].clock(self.now);
        self.nodes[life.node].latest = self.nodes[life.node].latest.max(clock);
        let bench = &mut self.nodes[life.node].shards[shard];
        bench.busy = false;
        let Some((partition, inputs)) = bench.inputs.pop_first() else { return Ok(()) };
        let durable = inputs.iter().filter_map(|input| match input {
            Input::Durable(seq) => Some(*seq),
            _ => None,
        });
        let durable = durable.max();
        self.note_results(life, &inputs);
        let bench = &mut self.nodes[life.node].shards[shard];
        let routed = bench.shard.handle(partition, inputs, clock);
        let more = !bench.inputs.is_empty();
        if let Some(partition) = bench.shard.partition(partition) {
            law::limits::on_work(partition, &self.scenario.limits)?;
        }
        if let Some(routed) = routed {
            self.trace_work(life, &routed);
            let made =
                self.timers.on_decision(routed.owner, &routed.turns, clock, &self.chronicle)?;
            self.coverage.check(7, made);
            let wanted = &self.scenario.operations;
            self.early.on_decision(routed.owner, &routed.turns, clock, wanted);
            self.expect_answers(life, &routed);
            self.pass_on(life, routed)?;
            if let (Some(durable), Some(waiters)) =
                (durable, self.nodes[life.node].waiters.get(&partition))
            {
                waiters.on_durable(durable)?;
                self.coverage.check(9, 1);
            }
        }
        if more && !std::mem::replace(&mut self.nodes[life.node].shards[shard].busy, true) {
            self.soon(50, Happening::Work(life, shard));
        }
        self.set_alarm(life, shard);
        Ok(())
    }

    /// The results among these inputs are no longer out.
    fn note_results(&mut self, life: Life, inputs: &[Input]) {
        for input in inputs {
            let ticket = match input {
                Input::TaskDone(result) => &result.ticket,
                Input::Request(Request { verb: Verb::Finish(result), .. }) => &result.ticket,
                _ => continue,
            };
            if let Some(out) = self.nodes[life.node].out.get_mut(&ticket.partition) {
                out.remove(&(ticket.instance.clone(), ticket.execution, ticket.piece));
            }
        }
    }

    fn trace_work(&mut self, life: Life, routed: &Routed) {
        let numbers = [3, life.node as u64, routed.turns.len() as u64, routed.effects.len() as u64];
        self.trace.note(self.now, &numbers, || {
            let seqs: Vec<_> = routed
                .turns
                .iter()
                .map(|turn| format!("{}:{}", turn.seq.0, turn.instance))
                .collect();
            let (node, partition) = (life.node, routed.owner.partition.0);
            format!("node{node} runs p{partition}: turns {seqs:?}, reads {:?}", routed.reads)
        });
    }

    /// Those who wait for an instance whose end was decided now are to be answered in time.
    fn expect_answers(&mut self, life: Life, routed: &Routed) {
        let Some(last) = routed.turns.last().map(|turn| turn.seq) else { return };
        let node = &mut self.nodes[life.node];
        for (at, turn) in routed.turns.iter().enumerate() {
            // When it was started again in the same round, or is to be rewound, some wait for that.
            let again = routed.turns[at + 1..].iter().any(|it| it.instance == turn.instance);
            let rewinds =
                |asked: &Asked| asked.act == Act::Rewind && asked.instance == turn.instance;
            let again = again || node.asks.values().any(rewinds);
            if let Change::Write { record, .. } = &turn.change
                && record.status.is_terminal()
                && !again
            {
                let waits = |asked: &&Asked| asked.act.waits() && asked.instance == turn.instance;
                for asked in node.asks.values().filter(waits) {
                    let waiters = node.waiters.entry(asked.partition).or_default();
                    waiters.expect(asked.request, last);
                }
            }
        }
    }

    fn pass_on(&mut self, life: Life, routed: Routed) -> Result<(), Violation> {
        let Routed { owner, opened, turns, sent, reads, effects, left } = routed;
        let lane = self.nodes[life.node].lane_of(owner.partition);
        self.count_turns(&turns);
        self.nodes[life.node].writer(lane).lane.push(owner, opened, turns);
        self.commit_soon(life, lane);
        let now = self.nodes[life.node].tick();
        for envelope in sent {
            self.pass(life, owner.partition, Passed { envelope, opened, sent: now });
        }
        for read in reads {
            self.soon(300, Happening::Read(life, owner, read));
        }
        for effect in effects {
            self.effect(life, owner, effect)?;
        }
        if left {
            self.left(life, owner);
        }
        Ok(())
    }

    fn count_turns(&mut self, turns: &[TurnRecord]) {
        for turn in turns {
            self.coverage.count(match &turn.change {
                Change::Purge => "turns that purge",
                Change::Nothing => "turns that change nothing",
                Change::Write { record, .. } if record.stuck.is_some() => {
                    "turns of parked instances"
                }
                Change::Write { record, .. } if record.status.is_terminal() => "turns that end",
                Change::Write { .. } => "turns that go on",
            });
        }
    }

    fn effect(&mut self, life: Life, owner: Ownership, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Answer(request, answer) => {
                let node = &mut self.nodes[life.node];
                if let Some(waiters) = node.waiters.get_mut(&owner.partition) {
                    waiters.settle(request);
                }
                if let Some(result) = node.results.remove(&request) {
                    self.result_taken(life, result, &answer);
                    return Ok(());
                }
                let Some(asked) = node.asks.remove(&request) else { return Ok(()) };
                self.check_answer(&asked, &answer)?;
                self.reply(&asked, answer);
            }
            Effect::Dispatch(task) => {
                law::durable::on_dispatch(&self.chronicle, &task)?;
                self.coverage.check(4, 1);
                let node = &mut self.nodes[life.node];
                let out = node.out.entry(owner.partition).or_default();
                let ticket = &task.ticket;
                out.insert((ticket.instance.clone(), ticket.execution, ticket.piece));
                law::timers::on_dispatch(&task, node.latest)?;
                law::limits::on_dispatch(out, ticket.piece, &node.limits)?;
                self.coverage.check(10, 1);
                if self.is_pooled(&task) {
                    return self.offer(life, task);
                }
                self.soon(3_000, Happening::Run(life, Box::new(task)));
            }
            Effect::Read(read) => self.soon(300, Happening::Read(life, owner, read)),
            Effect::Cancel(ticket) => {
                self.cancel(life, &ticket);
            }
            _ => {}
        }
        Ok(())
    }

    fn check_answer(&mut self, asked: &Asked, answer: &Answer) -> Result<(), Violation> {
        let chronicle = &self.chronicle;
        law::durable::on_answer(chronicle, &asked.instance, &asked.act, asked.since, answer)?;
        self.coverage.check(if asked.act.waits() { 9 } else { 4 }, 1);
        match (&asked.act, answer) {
            (act, Answer::Done | Answer::Started(_)) if let Some(payload) = act.payload() => {
                self.raised.acknowledge(&self.chronicle, &asked.instance, payload)
            }
            (Act::Signal(_), Answer::Done) => self.entities.acknowledge(&signal_of(asked.request)),
            _ => Ok(()),
        }
    }

    /// A reader reads; what it read takes some time to arrive.
    pub(crate) fn read(&mut self, life: Life, owner: Ownership, read: Read) {
        let fails = self.store_fails() || self.random.chance(self.rates.read_fails);
        if fails {
            self.coverage.count("reads that fail");
        }
        let down = || StoreError::Unavailable("as the seed wants".to_owned());
        let input = match read {
            Read::Instance(id) => {
                let loaded = if fails { Err(down()) } else { self.store.load(&id) };
                self.coverage.count("instances read");
                if !fails
                    && !self.nodes[life.node].known.insert((
                        owner.partition,
                        owner.epoch,
                        id.clone(),
                    ))
                {
                    self.coverage.count("instances read again after an eviction");
                }
                Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
            }
            Read::Whole(id) => {
                let loaded = if fails { Err(down()) } else { self.store.load_whole(&id) };
                self.coverage.count("instances read with their past");
                Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
            }
            Read::Wakes { after, limit } => {
                let page = self.store.wakes(owner.partition, after.as_ref(), limit);
                self.coverage.count("pages of wakes read");
                Input::Wakes(if fails { Err(down()) } else { page })
            }
            Read::Busy { after, limit } => {
                let page = self.store.busy(owner.partition, after.as_ref(), limit);
                self.coverage.count("pages of busy instances read");
                Input::Busy(if fails { Err(down()) } else { page })
            }
        };
        self.soon(2_000, Happening::Send(life, Mail::Owned(owner, vec![input])));
    }
}
