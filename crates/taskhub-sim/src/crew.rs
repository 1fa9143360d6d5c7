//! Workers elsewhere: each comes to some node, is given work by its pool, and comes to grief now
//! and then: it is lost, leaves, gives work back, hangs, answers late or twice.

use taskhub_core::{Done, Failure, Job, Task, TaskResult, partition::Input};
use taskhub_engine::{Delivery, DeliveryId, Order, WorkerId, WorkerOptions};

use crate::{
    chronicle::Known,
    law::{Violation, crew::Member, giants::UNWRITABLE},
    node::{Life, Mail},
    program::entity,
    scenario::Act,
    world::{Happening, World},
};

/// The activities that nobody but workers elsewhere has, where there are such workers.
pub(crate) const FAR_ACTIVITIES: [&str; 4] = ["fan", "free", "slow", "frail"];

/// What stands in the reason why a turn was given up that took every worker down.
pub(crate) const TOOK_DOWN: &str = "each was lost with it";

impl World {
    /// Whether workers elsewhere do this, and get it from the pool of the node.
    pub(crate) fn is_pooled(&self, task: &Task) -> bool {
        !self.scenario.workers.is_empty()
            && match &task.job {
                Job::Activity(work) => FAR_ACTIVITIES.contains(&&*work.name),
                Job::Turn(_) | Job::Operations(_) => true,
            }
    }

    /// A worker comes to a node. For the time after the troubles, each node has one of its own.
    pub(crate) fn join(&mut self, worker: usize) -> Result<(), Violation> {
        let own = worker.checked_sub(self.scenario.workers.len());
        let node = own.unwrap_or_else(|| self.random.index(self.nodes.len()));
        let life = self.nodes[node].life;
        if !self.lives(life) || self.nodes[node].paused_until > self.now {
            self.soon(500_000, Happening::Join(worker));
            return Ok(());
        }
        self.coverage.count("workers that come");
        let options = self.scenario.workers.get(worker).cloned().unwrap_or_default();
        let node = &mut self.nodes[node];
        let clock = node.clock(self.now);
        let id = node.pool.connect(options.clone(), clock);
        node.crew.members.insert(id, Member { worker, options, leaves: false, is_back: false });
        self.carry_out(life)
    }

    /// A process ends: its workers lose their connections and come back to some node.
    pub(crate) fn dismiss(&mut self, node: usize) {
        let members = std::mem::take(&mut self.nodes[node].crew.members);
        for member in members.into_values().filter(|it| !it.is_back) {
            self.soon(300_000, Happening::Join(member.worker));
        }
    }

    /// A partition has work for workers elsewhere.
    pub(crate) fn offer(&mut self, life: Life, task: Task) -> Result<(), Violation> {
        let node = &mut self.nodes[life.node];
        node.crew.on_offer(&task)?;
        let clock = node.clock(self.now);
        node.pool.offer(task, clock);
        self.carry_out(life)
    }

    /// Time passes in the pool of a node.
    pub(crate) fn pool_tick(&mut self, life: Life) -> Result<(), Violation> {
        let node = &mut self.nodes[life.node];
        node.pool_alarm = i64::MAX;
        let clock = node.clock(self.now);
        node.pool.tick(clock);
        self.carry_out(life)
    }

    /// Does what the pool of a node wants.
    fn carry_out(&mut self, life: Life) -> Result<(), Violation> {
        let (patience, clock) =
            (self.scenario.patience.clone(), self.nodes[life.node].clock(self.now));
        for order in self.nodes[life.node].pool.take_orders() {
            let (now, number) = (self.now, life.node as u64);
            self.trace.note(now, &[9, number], || format!("node{number}: {order:?}"));
            let crew = &mut self.nodes[life.node].crew;
            match order {
                Order::Give(worker, delivery) => {
                    crew.on_give(worker, &delivery, clock, &patience)?;
                    for law in [6, 8, 10, 11] {
                        self.coverage.check(law, 1);
                    }
                    self.coverage.count("workers are given work");
                    self.soon(3_000, Happening::Take(life, worker, Box::new(delivery)));
                }
                Order::Withdraw(_, id) => {
                    crew.on_withdraw(id)?;
                    self.coverage.count("work that is taken back");
                    if self.random.chance(500) {
                        let stopped = Failure::new("Cancelled", "nobody waits for it");
                        let done = Box::new(Done::Activity(Err(stopped)));
                        self.soon(1_000, Happening::Did(life, id, done));
                    }
                }
                Order::Release(worker) => {
                    crew.on_release(worker)?;
                    self.coverage.count("workers that are released");
                    self.soon(1_000, Happening::Gone(life, worker));
                }
                Order::Fail(ticket, done) => {
                    let task = crew.on_fail(&ticket, patience.losses_max)?;
                    self.coverage.count("work that took too many workers down");
                    self.give_up_work(life, &task, done);
                }
            }
        }
        let node = &mut self.nodes[life.node];
        if let Some(next) = node.pool.next_tick() {
            let wait = i64::try_from(next.since(node.clock(self.now)).as_micros());
            let at = self.now.saturating_add(wait.unwrap_or(i64::MAX).max(1_000));
            if at < node.pool_alarm {
                node.pool_alarm = at;
                self.at(at, Happening::PoolTick(life));
            }
        }
        Ok(())
    }

    /// That nobody can do it is the result, as if a worker had said so.
    fn give_up_work(&mut self, life: Life, task: &Task, done: Done) {
        let (ticket, partition) = (task.ticket.clone(), task.ticket.partition);
        self.elsewhere.note(task, &done);
        self.entities.note(task, &done);
        let result = TaskResult { ticket, done };
        self.results.note(&result);
        self.put(life, partition, vec![Input::TaskDone(result)]);
    }

    /// People look at what was parked as its workers were lost, and let it go on; or as it cannot
    /// be read, and end or forget it. Then they clean up.
    pub(crate) fn mend(&mut self) {
        let stuck = |known: &Known| known.record().and_then(|record| record.stuck.clone());
        let parked = self.chronicle.instances.iter();
        let parked = parked.filter_map(|(id, known)| Some((id.clone(), stuck(known)?)));
        for (id, why) in parked.collect::<Vec<_>>() {
            let is_damaged = self.store.is_damaged(&id);
            let is_large = why.contains(UNWRITABLE) && (self.calm || self.random.chance(100));
            let is_lost = why.contains(TOOK_DOWN) || why.contains("cannot be read") && !is_damaged;
            if is_large || is_lost {
                self.trigger(id, Act::Resume);
            } else if is_damaged && (self.calm || self.random.chance(200)) {
                let ends = self.random.chance(300);
                self.trigger(id, if ends { Act::Terminate(false) } else { Act::Purge });
            }
        }
        if !self.chronicle.damaged.is_empty() && self.chores.is_empty() {
            self.trigger(entity(0), Act::Clean);
        }
    }

    /// A worker gets what it was given, unless it is gone.
    pub(crate) fn take(
        &mut self,
        life: Life,
        worker: WorkerId,
        delivery: &Delivery,
    ) -> Result<(), Violation> {
        let Some(member) = self.nodes[life.node].crew.members.get(&worker) else { return Ok(()) };
        let (node, clock) = (life.node, self.nodes[life.node].clock(self.now));
        let leaves = member.leaves;
        let id = delivery.id;
        if member.is_back {
            return Ok(()); // Nobody reads that stream any more.
        }
        if !leaves && self.random.chance(self.rates.worker_lost / 2) {
            self.come_back(life, worker)?;
        } else if self.random.chance(self.rates.worker_lost) {
            self.coverage.count("workers that are lost");
            self.lose_worker(life, worker)?;
            if self.random.chance(500) {
                return Ok(()); // What others do may come back all the same, late.
            }
        } else if !leaves && self.random.chance(self.rates.worker_leaves) {
            self.coverage.count("workers that leave");
            let node = &mut self.nodes[node];
            if let Some(member) = node.crew.members.get_mut(&worker) {
                member.leaves = true;
            }
            node.pool.leave(worker, clock);
            self.carry_out(life)?;
            let late = self.now + self.random.between(0, 20_000_000);
            self.at(late, Happening::Gone(life, worker));
            if self.random.chance(500) {
                self.nodes[life.node].crew.on_return(id);
                self.nodes[life.node].pool.unsend(id, clock);
                return self.carry_out(life);
            }
        } else if self.random.chance(self.rates.work_refused) {
            self.coverage.count("workers that give work back");
            self.nodes[node].crew.on_return(id);
            self.nodes[node].pool.give_back(id, clock);
            return self.carry_out(life);
        }
        let done = self.done(life, &delivery.task);
        if self.random.chance(self.rates.activity_hangs) {
            self.coverage.count("workers that hang");
            // For ever, unless another hangs with it: from two that both stay nobody takes it.
            if self.random.chance(500) && !self.nodes[life.node].crew.is_with_two(id) {
                return Ok(());
            }
            let at = self.now + self.random.between(0, 60_000_000);
            self.at(at, Happening::Did(life, id, Box::new(done)));
            return Ok(());
        }
        let long = if self.random.chance(100) { 3_000_000 } else { 20_000 };
        self.soon(long, Happening::Did(life, id, Box::new(done)));
        Ok(())
    }

    /// A worker loses its stream and comes back by another, before its node has noticed or after.
    /// It names most of what it has in hand: some never reached it.
    fn come_back(&mut self, life: Life, old: WorkerId) -> Result<(), Violation> {
        self.coverage.count("workers that come back");
        let mut named = self.nodes[life.node].crew.in_hand(old);
        named.retain(|_| self.random.chance(800));
        let noticed = self.random.chance(300);
        let node = &mut self.nodes[life.node];
        let clock = node.clock(self.now);
        let Some(member) = node.crew.members.get_mut(&old) else { return Ok(()) };
        member.is_back = true;
        let (worker, options) = (member.worker, member.options.clone());
        if noticed {
            self.lose_worker(life, old)?;
        }
        let node = &mut self.nodes[life.node];
        let (id, unwanted) = node.pool.reconnect(options.clone(), named.clone(), clock);
        node.crew.members.insert(id, Member { worker, options, leaves: false, is_back: false });
        node.crew.on_back(id, &named, &unwanted)?;
        self.coverage.count_many("work that workers keep", (named.len() - unwanted.len()) as u64);
        self.soon(300_000, Happening::Gone(life, old));
        self.carry_out(life)
    }

    /// A worker is gone: lost, or through with leaving.
    pub(crate) fn lose_worker(&mut self, life: Life, worker: WorkerId) -> Result<(), Violation> {
        let node = &mut self.nodes[life.node];
        let clock = node.clock(self.now);
        let Some(member) = node.crew.on_loss(worker) else { return Ok(()) };
        node.pool.disconnect(worker, clock);
        if !member.is_back {
            self.soon(300_000, Happening::Join(member.worker));
        }
        self.carry_out(life)
    }

    /// A worker says what it did. If that counts, the partition hears of it.
    pub(crate) fn did(&mut self, life: Life, id: DeliveryId, done: Done) -> Result<(), Violation> {
        let node = &mut self.nodes[life.node];
        let clock = node.clock(self.now);
        node.pool.note(id, &done);
        let task = node.pool.finish(id, clock);
        node.crew.on_finish(id, task.is_some())?;
        let numbers = [10, life.node as u64, id, u64::from(task.is_some())];
        self.trace.note(self.now, &numbers, || format!("{id} is done, of {task:?}"));
        self.coverage.count(if task.is_some() { "work that counts" } else { "work for nothing" });
        self.carry_out(life)?;
        if self.random.chance(self.rates.result_twice) {
            self.soon(500_000, Happening::Did(life, id, Box::new(done.clone())));
        }
        if let Some(task) = task {
            let result = TaskResult { ticket: task.ticket, done };
            self.results.note(&result);
            self.soon(200, Happening::Send(life, Mail::Finish(result)));
        }
        Ok(())
    }
}

/// A worker that serves whatever there is, as much at once.
pub(crate) fn worker(room: usize) -> WorkerOptions {
    let (activities, turns, entities) = (room, room, room);
    WorkerOptions { activities, turns, entities, ..WorkerOptions::default() }
}
