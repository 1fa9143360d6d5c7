//! What happens to nodes: they crash, sleep, lose leases, get other code; and the end of all that.

use taskhub_core::{
    InstanceId, PartitionId,
    store::{Ownership, Store as _},
};

use crate::{
    law::{self, Violation, circles::Circle, ensure},
    node::Life,
    scenario::{Act, CALM_AFTER, Rates, TroubleKind},
    trigger::is_of_trigger,
    world::{Happening, World},
};

/// What all nodes have in common that can ask each other.
const RIGHT: Circle = Circle::Secret(0);

impl World {
    /// Whether the store does not work just now.
    pub(crate) fn store_fails(&self) -> bool {
        self.now < self.store_down_until
    }

    /// A trouble begins.
    pub(crate) fn trouble(&mut self, index: usize) -> Result<(), Violation> {
        let trouble = self.scenario.troubles[index].clone();
        let life = self.nodes[trouble.node].life;
        let now = self.now;
        self.trace.note(now, &[6, index as u64], || format!("trouble: {trouble:?}"));
        let up = self.nodes[trouble.node].up;
        if !up && needs_node(trouble.kind) {
            return Ok(());
        }
        self.coverage.count(named(trouble.kind));
        match trouble.kind {
            TroubleKind::Crash(pause) => self.crash(life, pause, false)?,
            TroubleKind::PowerCut(pause) => {
                self.cut_power();
                self.crash(life, pause, false)?;
            }
            TroubleKind::DeployBroken(pause) => self.crash(life, pause, true)?,
            TroubleKind::Pause(pause) => {
                self.nodes[trouble.node].paused_until = now + pause;
                self.nodes[trouble.node].sleeps = true;
            }
            TroubleKind::Jump(by) => {
                let node = &mut self.nodes[trouble.node];
                node.crew.on_jump(node.clock(now));
                node.skew += by;
            }
            TroubleKind::LoseLease(partition) => {
                self.store.expire(PartitionId(partition));
                self.circles.shaken(now);
            }
            TroubleKind::Leave(pause) => self.stop(life, pause)?,
            TroubleKind::StoreDown(pause) => self.store_down_until = now + pause,
            TroubleKind::Damage(pause) => self.damage(pause)?,
        }
        Ok(())
    }

    /// The power fails: the disk has some of what was not synced, from the front, and of the batch
    /// behind that at most a part, which the store throws away when it is opened.
    pub(crate) fn cut_power(&mut self) {
        let tail = self.store.unsynced();
        let kept = self.random.index(tail + 1);
        self.store.cut_power(kept);
        self.coverage.count_many("batches lost in power cuts", (tail - kept) as u64);
        self.coverage.count_many("unsynced batches that outlive a power cut", kept as u64);
    }

    /// A paused node wakes; whether it still believes that it owns what others own by now.
    pub(crate) fn wake(&mut self, life: Life) {
        let node = &mut self.nodes[life.node];
        if !std::mem::take(&mut node.sleeps) || node.life != life {
            return;
        }
        self.coverage.count("nodes that wake");
        let stale = |owned: Ownership| self.store.epoch(owned.partition) != owned.epoch;
        if self.nodes[life.node].held.all().any(stale) {
            self.coverage.count("nodes that wake with a stale epoch");
        }
    }

    /// The store loses the beginning of a history, most often of somebody who has locked something;
    /// and the process dies that has it in memory.
    fn damage(&mut self, pause: i64) -> Result<(), Violation> {
        let lives = |id: &InstanceId| {
            let record = self.chronicle.record(id).filter(|it| !it.status.is_terminal());
            record.is_some() && id.as_entity().is_none() && !is_of_trigger(id)
        };
        let instances = &self.chronicle.instances;
        let holders = instances.values().filter_map(|known| law::locks::of(&known.log).0);
        let mut victims: Vec<_> = holders.map(|lock| lock.holder).filter(lives).collect();
        if victims.is_empty() || self.random.chance(300) {
            victims = instances.keys().filter(|id| lives(id)).cloned().collect();
        }
        if victims.is_empty() {
            return Ok(());
        }
        let victim = self.random.pick(&victims).clone();
        self.store.damage(&victim, false);
        if self.random.chance(500) {
            self.coverage.count("histories that can be read again");
            let at = self.random.between(self.now, CALM_AFTER);
            self.at(at, Happening::Repair(victim.clone()));
        }
        let holder = self.store.holder(self.partition_of(&victim));
        self.chronicle.damaged.insert(victim);
        let node = self
            .nodes
            .iter()
            .find(|it| holder.as_ref().is_some_and(|(name, _)| *name == it.name()));
        node.map(|node| node.life).map_or(Ok(()), |life| self.crash(life, pause, false))
    }

    /// The process of a node dies, and is started again, perhaps with broken code.
    pub(crate) fn crash(&mut self, life: Life, pause: i64, broken: bool) -> Result<(), Violation> {
        if !self.lives(life) {
            return Ok(());
        }
        // What the process had written to a file is in the hands of the system: it survives.
        self.harden()?;
        let (shards, lanes) = self.scenario.threads();
        self.dismiss(life.node);
        let node = &mut self.nodes[life.node];
        node.up = false;
        let asks = std::mem::take(&mut node.asks);
        node.forget_all(shards, lanes);
        for asked in asks.values() {
            self.lose(asked);
        }
        let at = self.now + pause;
        self.at(at, Happening::Start(life.node, broken));
        Ok(())
    }

    fn stop(&mut self, life: Life, pause: i64) -> Result<(), Violation> {
        self.nodes[life.node].stopping = true;
        self.nodes[life.node].held.stop();
        self.balance(life)?;
        self.give_back(life);
        let at = self.now + pause.max(50_000);
        self.at(at, Happening::Start(life.node, false));
        Ok(())
    }

    /// A process is started, unless one runs already.
    pub(crate) fn start(&mut self, index: usize, broken: bool) {
        let node = &mut self.nodes[index];
        if node.up && !node.stopping {
            return;
        }
        let asks = std::mem::take(&mut node.asks);
        self.dismiss(index);
        let node = &mut self.nodes[index];
        let sound = self.calm || self.scenario.is_calm() || self.random.chance(500);
        let broken = broken && !self.calm;
        let is_wrong = !self.scenario.embedded && self.random.chance(self.rates.secret_wrong);
        node.circle = if !is_wrong {
            RIGHT
        } else if self.random.chance(300) {
            Circle::Nobody
        } else {
            Circle::Secret(1)
        };
        node.start(self.scenario.threads(), &self.scenario.programs, sound, broken);
        node.renewed_at = self.now;
        let life = node.life;
        for asked in asks.values() {
            self.lose(asked);
        }
        let now = self.now;
        self.trace.note(now, &[7, index as u64], || {
            format!("node{index}.{} starts (late code: {sound}, broken: {broken})", life.life)
        });
        self.soon(1_000, Happening::Tick(life));
        self.arm();
    }

    /// The troubles end: every node runs, with sound code.
    pub(crate) fn calm_down(&mut self) -> Result<(), Violation> {
        self.calm = true;
        self.rates = Rates::default();
        self.store_down_until = 0;
        let now = self.now;
        self.trace.note(now, &[8], || "the troubles are over".to_owned());
        for index in 0..self.nodes.len() {
            self.nodes[index].paused_until = 0;
            let life = self.nodes[index].life;
            let is_sound = self.nodes[index].sound && self.nodes[index].circle == RIGHT;
            if self.nodes[index].up && !is_sound {
                self.crash(life, 100_000, false)?;
            } else if !self.nodes[index].up || self.nodes[index].stopping {
                self.at(CALM_AFTER + 100_000, Happening::Start(index, false));
            }
        }
        for node in 0..self.nodes.len() {
            self.soon(200_000, Happening::Join(self.scenario.workers.len() + node));
        }
        self.at(CALM_AFTER + 1_000_000, Happening::Rest);
        Ok(())
    }

    /// Whether everything has come as far as it can, and says so.
    pub(crate) fn at_rest(&mut self) -> Result<(), Violation> {
        self.coverage.check(11, 1);
        let clock = self.nodes.iter().map(|node| node.clock(self.now)).min();
        law::progress::at_rest(&self.chronicle, clock.unwrap_or_default())?;
        law::triggers::Triggered::at_rest(self.scenario.blobs.len(), &self.chronicle)?;
        self.entities.at_rest(&self.chronicle)?;
        self.results.at_rest(&self.chronicle)?;
        for asked in self.open.values() {
            let record = self.chronicle.record(&asked.instance);
            let waits = match asked.act {
                Act::Wait => record.is_some_and(|record| !record.status.is_terminal()),
                Act::Expect => record.is_none_or(|record| !record.status.is_terminal()),
                _ => false,
            };
            ensure(waits, || {
                let happened = format!("{asked:?} is open, the instance is {record:?}");
                Violation::new(9, "every question that can be answered is", happened)
            })?;
        }
        for node in &self.nodes {
            node.crew.at_rest(node.pool.load().0)?;
            let rests = |it: &crate::node::Writer| it.lane.is_empty() && !it.committing;
            ensure(node.lanes.iter().all(rests), || {
                Violation::new(11, "lanes run empty", node.name())
            })?;
            for bench in &node.shards {
                for partition in (0..self.scenario.partitions).map(PartitionId) {
                    if let Some(known) = bench.shard.partition(partition) {
                        let count = self.scenario.partitions;
                        law::limits::at_rest(known, &node.limits, count)?;
                        self.coverage.check(10, 1);
                    }
                }
            }
        }
        let share = usize::from(self.scenario.partitions).div_ceil(self.nodes.len());
        let most = self.nodes.iter().map(|node| node.held.all().count()).max().unwrap_or(0);
        ensure(most <= share, || {
            Violation::new(11, "nobody has more than a fair share", format!("one has {most}"))
        })?;
        let owned: usize = self.nodes.iter().map(|node| node.held.all().count()).sum();
        ensure(owned == usize::from(self.store.partitions()), || {
            Violation::new(11, "every partition has an owner", format!("{owned} have"))
        })
    }
}

/// Whether it can only happen to a node that runs.
fn needs_node(kind: TroubleKind) -> bool {
    !matches!(
        kind,
        TroubleKind::Jump(_)
            | TroubleKind::LoseLease(_)
            | TroubleKind::StoreDown(_)
            | TroubleKind::Damage(_)
    )
}

fn named(kind: TroubleKind) -> &'static str {
    match kind {
        TroubleKind::Crash(_) => "troubles: crash",
        TroubleKind::PowerCut(_) => "troubles: power cut",
        TroubleKind::Pause(_) => "troubles: pause",
        TroubleKind::Jump(_) => "troubles: clock jumps",
        TroubleKind::LoseLease(_) => "troubles: lease lost",
        TroubleKind::DeployBroken(_) => "troubles: broken code deployed",
        TroubleKind::Leave(_) => "troubles: node leaves",
        TroubleKind::StoreDown(_) => "troubles: store down",
        TroubleKind::Damage(_) => "troubles: a history damaged",
    }
}
