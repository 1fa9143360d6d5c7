//! The workers: what they are given, what comes of it, and what goes wrong with them.

mod ahead;
mod operations;

use taskhub_core::{
    Answer, Done, Event, Failure, InstanceId, Job, Kind, Request, RequestId, Taken, Task,
    TaskResult, Ticket, Turn, Verb, Work,
    partition::Input,
    turn::{Execution, Functions as _, Progress, Step, seen},
};

pub(crate) use ahead::Kept;
pub(crate) use operations::done;

use crate::{
    code::Deployed,
    node::{Life, Mail},
    program::{FINAL, TIMEOUT, progress, too_large},
    scenario::CALM_AFTER,
    world::{Happening, World},
};

impl World {
    /// A worker has something to do. It may be lost with it: another one gets the same, and what
    /// the first one did may come back all the same, late.
    pub(crate) fn run_task(&mut self, life: Life, task: Box<Task>) {
        let elsewhere = !matches!(task.job, Job::Activity(_));
        if elsewhere && self.random.chance(self.rates.worker_lost) {
            self.coverage.count("workers that are lost");
            self.soon(1_000_000, Happening::Run(life, task.clone()));
            if self.random.chance(500) {
                return;
            }
        }
        let done = self.done(life, &task);
        let result = TaskResult { ticket: task.ticket, done };
        if !self.calm && self.random.chance(self.rates.activity_hangs) {
            self.coverage.count("workers that hang");
            let at = self.random.between(self.now, CALM_AFTER);
            return self.at(at, Happening::Done(life, result));
        }
        let long = if !self.calm && self.random.chance(100) { 3_000_000 } else { 20_000 };
        self.soon(long, Happening::Done(life, result));
    }

    /// What a worker makes of a task.
    pub(crate) fn done(&mut self, life: Life, task: &Task) -> Done {
        let done = match &task.job {
            Job::Activity(work) => {
                let done = self.run_activity(work);
                self.run_ahead(life, task, done)
            }
            Job::Turn(turn) => self.run_turn(life, task, turn),
            Job::Operations(given) => {
                Done::Operations(Box::new(self.perform(&task.ticket.instance, given)))
            }
        };
        self.elsewhere.note(task, &done);
        self.entities.note(task, &done);
        done
    }

    /// An activity runs to its end. If it fails, it may have told how far it had come.
    fn run_activity(&mut self, work: &Work) -> Done {
        self.runs += 1;
        let run = self.runs;
        if self.random.chance(self.rates.activity_fails) {
            self.coverage.count("activities that fail");
            // Its worker ends what gave no sign of life for too long.
            let kind = *self.random.pick(&["Panic", "Broken", "Broken", FINAL, TIMEOUT]);
            if kind == TIMEOUT {
                self.coverage.count("activities that fall silent");
            }
            let mut failure = Failure::new(kind, format!("run {run}"));
            failure.non_retriable = kind == FINAL;
            if self.random.chance(500) {
                failure.details = Some((progress(work) + 1).to_string().into());
            }
            return Done::Activity(Err(failure));
        }
        if self.random.chance(15) {
            self.coverage.count("activities that give too much");
            return Done::Activity(Ok(Some(too_large())));
        }
        self.coverage.count("activities that succeed");
        self.coverage.count_many("activities that go on from what was told", progress(work).min(1));
        Done::Activity(Ok(Some(format!("r{run}").into())))
    }

    /// A worker elsewhere replays the history and runs one turn, now and then of fewer arrivals
    /// than it was given.
    fn run_turn(&mut self, life: Life, task: &Task, turn: &Turn) -> Done {
        let fewer = turn.takes > 1 && self.random.chance(self.rates.turn_partial);
        let takes = fewer.then(|| {
            let less = self.random.below(u64::from(turn.takes) - 1);
            1 + u32::try_from(less).unwrap_or(0)
        });
        let code = &self.workers[self.nodes[life.node].flaw() as usize];
        let (instance, version) = (&task.ticket.instance, turn.version.as_deref());
        let count = takes.unwrap_or(turn.takes);
        let events = taken(turn, count);
        let step = replay(code, instance, &turn.name, version, &events);
        self.coverage.count(match &step.progress {
            Progress::Waiting => "turns elsewhere that wait",
            Progress::ContinuedAsNew(..) => "turns elsewhere that continue as new",
            Progress::Stuck(_) => "turns elsewhere that are stuck",
            _ => "turns elsewhere that end",
        });
        let keeps = self.random.chance(900);
        let mark = keeps.then(|| self.keep(task, turn, events, count, &step));
        Done::Turn(Box::new(Taken { takes, step, mark }))
    }

    /// A result comes back, now and then twice, and also from a worker of a node that was
    /// meanwhile started anew.
    pub(crate) fn task_done(&mut self, life: Life, result: TaskResult) {
        self.results.note(&result);
        let partition = result.ticket.partition;
        if self.random.chance(self.rates.result_twice) {
            self.coverage.count("results told twice");
            let mut again = result.clone();
            if matches!(again.done, Done::Activity(_) | Done::Ahead(_)) && self.random.chance(500) {
                self.runs += 1;
                again.done = Done::Activity(Ok(Some(format!("r{}", self.runs).into())));
                self.results.note(&again);
            }
            let mail = Mail::Input(partition, Input::TaskDone(again));
            self.soon(500_000, Happening::Send(life, mail));
        }
        let asks = !matches!(result.done, Done::Activity(_)) && self.random.chance(500);
        let mail = if asks {
            Mail::Finish(result)
        } else {
            Mail::Input(partition, Input::TaskDone(result))
        };
        self.soon(200, Happening::Send(life, mail));
    }

    /// A result arrives whose worker wants to know that it is durable.
    pub(crate) fn take_result(&mut self, life: Life, result: TaskResult) {
        let partition = result.ticket.partition;
        if self.nodes[life.node].owned(partition).is_none() {
            return;
        }
        self.requests += 1;
        let id = RequestId(self.requests);
        let instance = result.ticket.instance.clone();
        let verb = Verb::Finish(Box::new(result.clone()));
        self.nodes[life.node].results.insert(id, result);
        self.put(life, partition, vec![Input::Request(Request { id, instance, verb })]);
    }

    /// A worker is told what became of its result; when it was refused it tries again. The pool
    /// knows nothing of it any more then.
    pub(crate) fn result_taken(&mut self, life: Life, result: TaskResult, answer: &Answer) {
        if matches!(answer, Answer::Refused(_)) {
            self.coverage.count("results refused");
            if !self.scenario.workers.is_empty() {
                return;
            }
            self.soon(300_000, Happening::Send(life, Mail::Finish(result)));
        } else {
            self.coverage.count("results acknowledged");
        }
    }

    /// Nobody needs the result any more. A worker that can stop says so, and nobody may take that
    /// for a result: it is not among those that law 6 knows of.
    pub(crate) fn cancel(&mut self, life: Life, ticket: &Ticket) {
        self.coverage.count("tasks cancelled");
        let node = &mut self.nodes[life.node];
        node.crew.on_cancel(ticket);
        if node.pool.cancel(ticket) || self.random.chance(500) {
            let (ticket, partition) = (ticket.clone(), ticket.partition);
            let done = Done::Activity(Err(Failure::new("Cancelled", "nobody waits for it")));
            let done = Input::TaskDone(TaskResult { ticket, done });
            self.soon(1_000, Happening::Send(life, Mail::Input(partition, done)));
        }
    }
}

/// What the code of a turn sees that takes so many arrivals.
fn taken(turn: &Turn, takes: u32) -> Vec<Event> {
    let events = || turn.history.iter().flat_map(|piece| piece.iter());
    let by_turn = events().map(|event| match event.kind {
        Kind::TurnStarted { takes, .. } => takes,
        _ => 0,
    });
    let (all, mut arrivals) = (by_turn.sum::<u32>() + takes, 0);
    let is_seen = |event: &&Event| {
        arrivals += u32::from(event.kind.is_arrival());
        !event.kind.is_arrival() || arrivals <= all
    };
    events().filter(is_seen).cloned().collect()
}

/// What code comes to that is begun from nothing, and sees these events.
fn replay(
    code: &Deployed,
    instance: &InstanceId,
    name: &str,
    version: Option<&str>,
    events: &[Event],
) -> Step {
    let stuck = |why: &str| Step {
        progress: Progress::Stuck(why.into()),
        actions: Vec::new(),
        custom_status: None,
    };
    let Some(Event { at, kind: Kind::Started(started) }) = events.first() else {
        return stuck("the history has no beginning");
    };
    let Some(program) = code.orchestration(name, version) else {
        return stuck("there is no such program");
    };
    let mut execution = Execution::begin(program, instance.clone(), started, *at);
    execution.replay_until(seen(events));
    for (position, event) in (0..).zip(events) {
        execution.absorb(position, event);
    }
    execution.step()
}
