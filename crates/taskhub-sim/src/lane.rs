//! What the lane thread does: commit what is queued, say what is durable, recover when that fails.

use taskhub_core::{
    Answer, Batch, Refusal,
    partition::Input,
    store::{CommitError, StoreError},
};
use taskhub_engine::Lane;

use crate::{
    law::{self, Violation, giants::is_giant},
    node::{Life, Mail},
    world::{Fate, Happening, World},
};

impl World {
    /// A lane of a node has something to write.
    pub(crate) fn commit_soon(&mut self, life: Life, lane: u16) {
        let writer = self.nodes[life.node].writer(lane);
        if !writer.lane.is_empty() && !std::mem::replace(&mut writer.committing, true) {
            self.soon(100, Happening::Commit(life, lane));
        }
    }

    /// The next batch leaves for the store.
    pub(crate) fn commit(&mut self, life: Life, lane: u16) -> Result<(), Violation> {
        let node = &mut self.nodes[life.node];
        let batch = node.writer(lane).lane.next_batch();
        if batch.turns.is_empty() {
            node.writer(lane).committing = false;
            self.look_if_due(life, lane);
            return Ok(());
        }
        let sent = node.tick();
        node.writer(lane).sent = sent;
        law::limits::on_batch(&batch, &node.limits)?;
        let broken = node.broken;
        self.coverage.check(10, 1);
        let rates = self.rates;
        let fate = match self.random.below(1000) {
            _ if self.calm => Fate::Succeeds,
            draw if draw < u64::from(rates.commit_fails) => Fate::Fails,
            draw if draw < u64::from(rates.commit_fails + rates.commit_lies) => Fate::Lies,
            _ if self.random.chance(rates.commit_crashes) => {
                if self.random.chance(500) {
                    Fate::CrashesBefore
                } else {
                    Fate::CrashesAfter
                }
            }
            _ => Fate::Succeeds,
        };
        let write = Happening::Write(life, Box::new(batch), fate, broken);
        if !self.calm && self.random.chance(rates.commit_slow) {
            self.coverage.count("commits that are slow");
            let at = self.now + self.random.between(0, 30_000_000);
            self.at(at, write);
        } else {
            self.soon(2_000, write);
        }
        Ok(())
    }

    /// A batch reaches the store, even if the node that sent it is gone or asleep.
    pub(crate) fn write(
        &mut self,
        life: Life,
        batch: Batch,
        fate: Fate,
        broken: bool,
    ) -> Result<(), Violation> {
        if !self.lives(life) && (self.scenario.embedded || self.random.chance(500)) {
            return Ok(());
        }
        if fate == Fate::CrashesBefore {
            self.coverage.count("crashes before a commit");
            self.crash(life, 1_000_000, false)?;
            return Ok(());
        }
        let result = if self.store_fails() || fate == Fate::Fails {
            self.coverage.count("commits that fail");
            Err(self.store_error())
        } else if self.is_too_large(&batch) {
            Err(self.refuse(&batch)?)
        } else {
            self.take_effect(&batch, broken)?
        };
        let now = self.now;
        let bytes: usize = batch.turns.iter().map(taskhub_core::TurnRecord::bytes).sum();
        let ok = u64::from(result.is_ok());
        let numbers = [4, life.node as u64, batch.turns.len() as u64, bytes as u64, ok];
        self.trace.note(now, &numbers, || {
            let turns = batch.turns.iter().map(|turn| turn.seq.0).collect::<Vec<_>>();
            format!(
                "node{}.{} writes {:?} {turns:?}: {result:?}",
                life.node, life.life, batch.owners
            )
        });
        if result.is_err() {
            self.soon(2_000, Happening::Written(life, Box::new(batch), result));
            return Ok(());
        }
        match fate {
            Fate::CrashesAfter => {
                self.coverage.count("crashes after a commit");
                if self.scenario.embedded && self.random.chance(500) {
                    self.coverage.count("power cuts between a write and its sync");
                    self.cut_power();
                }
                self.crash(life, 1_000_000, false)?;
            }
            Fate::Lies => {
                self.coverage.count("commits that fail though they took effect");
                let result = Err(self.store_error());
                self.soon(2_000, Happening::Written(life, Box::new(batch), result));
            }
            _ if self.scenario.embedded => {
                self.soon(2_000, Happening::Sync(life, Box::new(batch)));
            }
            _ => self.soon(2_000, Happening::Written(life, Box::new(batch), Ok(()))),
        }
        Ok(())
    }

    /// Whether the store does not take so much at once.
    fn is_too_large(&self, batch: &Batch) -> bool {
        let is_narrow = self.scenario.narrow && !self.calm;
        is_narrow && batch.turns.iter().any(is_giant)
    }

    fn refuse(&mut self, batch: &Batch) -> Result<CommitError, Violation> {
        self.coverage.count("commits that are too large");
        self.giants.on_refusal(batch)?;
        Ok(StoreError::TooLarge("as the seed wants".to_owned()).into())
    }

    fn take_effect(
        &mut self,
        batch: &Batch,
        broken: bool,
    ) -> Result<Result<(), CommitError>, Violation> {
        if let Err(error) = self.store.write(batch) {
            self.coverage.count("commits that are fenced off");
            return Ok(Err(error));
        }
        self.coverage.count("commits");
        law::owner::on_write(&self.store, batch, self.scenario.partitions)?;
        self.coverage.check(1, 1);
        self.tail_broken |= broken;
        if !self.scenario.embedded {
            self.harden()?;
        }
        Ok(Ok(()))
    }

    fn store_error(&mut self) -> CommitError {
        let why = "as the seed wants".to_owned();
        let full = self.random.chance(300);
        CommitError::Store(if full { StoreError::Full(why) } else { StoreError::Unavailable(why) })
    }

    /// What took effect is durable now: the laws look at it.
    pub(crate) fn harden(&mut self) -> Result<(), Violation> {
        let broken = std::mem::take(&mut self.tail_broken);
        let calm = self.scenario.calm_from();
        let share = self.scenario.limits.early_instances_max;
        let share = share.div_ceil(usize::from(self.scenario.partitions));
        for batch in self.store.sync() {
            for turn in &batch.turns {
                let epoch = batch.owners.iter().find(|it| it.0 == turn.partition);
                let epoch = epoch.map(|it| it.1).unwrap_or_default();
                let applied = self.chronicle.apply(turn, epoch)?;
                self.coverage.turn(&applied);
                self.trace.turn(turn);
                let chronicle = &self.chronicle;
                law::limits::on_turn(&applied)?;
                self.giants.on_turn(&applied)?;
                self.results.on_turn(&applied)?;
                law::timers::on_turn(&applied, chronicle, calm)?;
                law::history::on_turn(&applied, chronicle)?;
                law::turns::on_turn(&applied)?;
                self.answers.on_turn(&applied)?;
                self.restarts.on_turn(&applied, chronicle)?;
                let checks = self.children.on_turn(&applied, chronicle)?;
                self.coverage.check(5, checks);
                let checks = self.early.on_turn(&applied, share)?;
                self.coverage.check(10, checks);
                self.elsewhere.on_turn(&applied, chronicle)?;
                let checks = self.entities.on_turn(&applied, chronicle)?;
                self.coverage.check(6, checks);
                self.raised.on_turn(&applied, chronicle)?;
                let checks = self.triggered.on_turn(&applied)?;
                self.coverage.check(7, checks);
                let programs = &self.scenario.programs;
                let sound = &self.workers[0];
                let given_up = self.elsewhere.gave_up(&turn.instance);
                law::replay::on_turn(&applied, chronicle, programs, sound, broken, given_up)?;
                for law in [2, 3, 5, 6, 8, 10] {
                    self.coverage.check(law, 1);
                }
            }
        }
        Ok(())
    }

    /// The embedded store has synced.
    pub(crate) fn synced(&mut self, life: Life, batch: Batch) -> Result<(), Violation> {
        if self.lives(life) {
            self.harden()?;
            self.soon(200, Happening::Written(life, Box::new(batch), Ok(())));
        }
        Ok(())
    }

    /// The store has answered.
    pub(crate) fn written(&mut self, life: Life, batch: &Batch, result: Result<(), CommitError>) {
        let Some((first, _)) = batch.owners.first() else { return };
        let lane = self.nodes[life.node].lane_of(*first);
        self.nodes[life.node].writer(lane).committing = false;
        if let Err(error) = result {
            if let Some((partition, input)) = Lane::unwritable(&error, batch) {
                self.nodes[life.node].void.insert(partition, input);
            }
            return self.recover(life, lane, &error);
        }
        for (owner, seq) in Lane::durable(batch) {
            let mail = Mail::Owned(owner, vec![Input::Durable(seq)]);
            self.at(self.now + 10, Happening::Send(life, mail));
        }
        let writer = self.nodes[life.node].writer(lane);
        let passed_on = writer.lane.written(batch, writer.sent);
        for passed in passed_on {
            self.coverage.count("messages passed on to other lanes");
            let mail = Mail::Deliver(passed, None);
            if self.random.chance(self.rates.thread_late) {
                self.coverage.count("delayed: messages passed on");
                self.soon(300_000, Happening::Send(life, mail));
            } else {
                // In the order in which they became durable.
                self.in_order(self.now + 20, Happening::Send(life, mail));
            }
        }
        self.look_if_due(life, lane);
        self.commit_soon(life, lane);
    }

    /// A commit failed, and nobody knows whether it is there: all that builds on it is forgotten.
    fn recover(&mut self, life: Life, lane: u16, error: &CommitError) {
        self.coverage.count("recoveries of a lane");
        let node = &mut self.nodes[life.node];
        let lanes = u16::try_from(node.lanes.len()).unwrap_or(1);
        let closed = node.held.close(lane, lanes);
        let writer = node.writer(lane);
        writer.generation += 1;
        writer.lane.close(&closed);
        for owned in &closed {
            for asked in self.nodes[life.node].disown(owned.partition) {
                self.reply(&asked, Answer::Refused(Refusal::Lost(error.to_string())));
            }
        }
        let node = &mut self.nodes[life.node];
        for bench in &mut node.shards {
            bench.shard.close(lane);
        }
        node.given_back.extend(closed);
        if !std::mem::replace(&mut node.recovering, true) {
            let at = self.now + 200_000;
            self.at(at, Happening::Reopen(life));
        }
    }
}
