//! The clients: each asks the owner, tries again when it is refused, and may go away.

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Kind, Operation, Refusal, Request, RequestId, Requested,
    Reuse, Started, Text, Timestamp, Verb,
};

use crate::{
    code::tags,
    law::Violation,
    node::{Asked, EPOCH, Mail},
    program::why_ended,
    scenario::Act,
    trigger::is_of_trigger,
    world::{Happening, World},
};

/// How often a client asks before it gives up.
const ATTEMPTS_MAX: u32 = 80;

impl World {
    /// A client begins with something.
    pub(crate) fn begin(&mut self, operation: usize, attempt: u32) -> Result<(), Violation> {
        match self.scenario.operations[operation].act {
            Act::PurgeAll | Act::Clean => self.begin_chore(operation, attempt),
            _ => {
                self.ask(operation, attempt);
                Ok(())
            }
        }
    }

    /// A client asks the node that owns the instance, as far as anybody knows.
    fn ask(&mut self, operation: usize, attempt: u32) {
        let mut wanted = self.scenario.operations[operation].clone();
        if attempt > ATTEMPTS_MAX && !is_of_trigger(&wanted.instance) {
            return self.coverage.count("clients that gave up asking");
        }
        let again = match &wanted.act {
            Act::Restart(other) => {
                let Some(was) = self.ended(&wanted.instance) else {
                    return self.coverage.count("restarts of what has not ended");
                };
                wanted.instance = other.clone().unwrap_or(wanted.instance);
                Some(was)
            }
            _ => None,
        };
        let partition = self.partition_of(&wanted.instance);
        let Some((name, _)) = self.store.holder(partition) else {
            return self.ask_later(operation, attempt);
        };
        let Some(node) = self.nodes.iter().find(|node| node.up && node.name() == name) else {
            return self.ask_later(operation, attempt);
        };
        let life = node.life;
        self.requests += 1;
        let mut act = wanted.act;
        if let (Act::Start(_, reuse @ Reuse::Fresh, _), 1..) = (&mut act, attempt) {
            *reuse = Reuse::Join; // It may be there already: that start is not fresh any more.
        }
        if let Some(payload) = act.payload()
            && self.raised.ask(&wanted.instance, payload)
        {
            self.coverage.count("events: asked for twice");
        }
        let drawn = ExecutionId(u128::from(self.requests) << 64 | u128::from(self.random.word()));
        let execution = begun_by(&wanted.instance, &act).unwrap_or(drawn);
        let again = again.map(|was| self.again(&wanted.instance, was, execution));
        let asked = Asked {
            again,
            request: RequestId(self.requests),
            operation,
            attempt,
            instance: wanted.instance,
            partition,
            act,
            since: self.chronicle.index,
            execution,
        };
        self.coverage.count(named(&asked.act));
        let (now, number) = (self.now, asked.request.0);
        self.trace.note(now, &[1, number], || {
            format!("client asks {name}: {:?} {:?} (r{number})", asked.instance, asked.act)
        });
        self.open.insert(asked.request.0, asked.clone());
        if let Some(patience) = wanted.patience {
            let at = self.now + patience;
            self.at(at, Happening::GiveUp(asked.request.0));
        }
        self.soon(500, Happening::Send(life, Mail::Ask(asked)));
    }

    /// How what has ended is started once more.
    fn again(&mut self, id: &InstanceId, was: Started, execution: ExecutionId) -> Box<Started> {
        self.restarts.ask(execution, was.clone());
        let again = Box::new(was.again(execution));
        self.chronicle.restarted.push((id.clone(), again.clone()));
        again
    }

    /// How an instance began, if it has ended.
    fn ended(&self, instance: &InstanceId) -> Option<Started> {
        let known = self.chronicle.instances.get(instance)?;
        known.record().filter(|record| record.status.is_terminal())?;
        match &known.log.first()?.kind {
            Kind::Started(started) => Some((**started).clone()),
            _ => None,
        }
    }

    pub(crate) fn ask_later(&mut self, operation: usize, attempt: u32) {
        let at = self.now + self.random.between(100_000, 800_000);
        self.at(at, Happening::Begin(operation, attempt + 1));
    }

    /// A client loses its patience.
    pub(crate) fn give_up(&mut self, request: u64) {
        let Some(asked) = self.open.remove(&request) else { return };
        self.coverage.count("clients that went away");
        for node in 0..self.nodes.len() {
            if self.nodes[node].asks.contains_key(&asked.request) {
                let life = self.nodes[node].life;
                self.soon(500, Happening::Send(life, Mail::Forget(asked.request)));
            }
        }
    }

    /// An answer is on its way to the client.
    pub(crate) fn reply(&mut self, asked: &Asked, answer: Answer) {
        self.soon(500, Happening::Hear(asked.request.0, answer));
    }

    /// The connection broke before there was an answer.
    pub(crate) fn lose(&mut self, asked: &Asked) {
        self.reply(asked, Answer::Refused(Refusal::Lost("the connection broke".to_owned())));
    }

    /// A client hears its answer. (What it tells was checked when it left the node.)
    pub(crate) fn hear(&mut self, request: u64, answer: Answer) -> Result<(), Violation> {
        let Some(asked) = self.open.remove(&request) else { return Ok(()) };
        let (now, kind) = (self.now, answer_number(&answer));
        self.trace
            .note(now, &[2, request, kind], || format!("client hears {answer:?} (r{request})"));
        if self.chores.asked(asked.operation).is_some() {
            return self.chore_hears(&asked, answer);
        }
        self.take_answer(&asked, answer);
        Ok(())
    }

    fn take_answer(&mut self, asked: &Asked, answer: Answer) {
        let Answer::Refused(why) = answer else {
            return self.coverage.count("answers: done");
        };
        match (why, &asked.act) {
            (Refusal::Lost(_), act) => {
                self.coverage.count("answers: unknown");
                // Who repeats an event takes the risk that it counts twice; not everybody does.
                if act.payload().is_none() || self.random.chance(500) {
                    self.ask_later(asked.operation, asked.attempt);
                }
            }
            (why, act) => {
                if let Some(payload) = act.payload() {
                    if matches!(why, Refusal::Ended(..)) {
                        self.coverage.count("events: too late");
                    }
                    self.raised.refuse(&asked.instance, payload);
                }
                self.coverage.count(refused(&why));
                self.schedule_runs(asked, &why);
                if why.nothing_happened() {
                    self.ask_later(asked.operation, asked.attempt);
                }
            }
        }
    }

    /// The request as the core knows it.
    pub(crate) fn request(&self, asked: &Asked) -> Request {
        let verb = match asked.act.clone() {
            Act::Start(program, reuse, after) => {
                let at = self.scenario.operations[asked.operation].at;
                let name = self.scenario.programs[program].name.clone();
                let within = self.scenario.operations[asked.operation].within;
                let started = Box::new(Started {
                    tags: tags(&format!("o{}", asked.operation)),
                    start_at: after.map(|after| Timestamp(EPOCH + at + after)),
                    deadline: within.map(|within| Timestamp(EPOCH + at + within)),
                    ..Started::new(name, None, asked.execution)
                });
                Verb::Start { started, reuse }
            }
            Act::Restart(_) => {
                let reuse = Reuse::ended();
                asked.again.clone().map_or(Verb::Status, |started| Verb::Start { started, reuse })
            }
            Act::Rewind => Verb::Rewind { reason: None },
            Act::Raise(name, payload) => Verb::Raise { name, input: Some(payload) },
            Act::RaiseEarly(name, payload, keep) => {
                let until = Timestamp(EPOCH + self.scenario.operations[asked.operation].at + keep);
                Verb::RaiseEarly { name, input: Some(payload), until }
            }
            Act::StartOrRaise(program, reuse, name, payload) => {
                let program = self.scenario.programs[program].name.clone();
                let started = Box::new(Started::new(program, None, asked.execution));
                Verb::StartOrRaise { started, reuse, name, input: Some(payload) }
            }
            Act::Terminate(recursive) => {
                Verb::Terminate { reason: Some(why_ended("asked", recursive)), recursive }
            }
            Act::Suspend => Verb::Suspend { reason: None },
            Act::Resume => Verb::Resume { reason: None },
            Act::Purge => Verb::Purge,
            Act::Unlock(section) => Verb::Unlock { section },
            Act::Signal(later) => {
                let at = self.scenario.operations[asked.operation].at;
                let request = signal_of(asked.request);
                let input = Some(format!("{request}:0").into());
                Verb::Signal(Box::new(Requested {
                    operation: Operation::new(request, "add", input),
                    caller: None,
                    due: later.map(|later| Timestamp(EPOCH + at + later)),
                }))
            }
            Act::Status | Act::PurgeAll | Act::Clean => Verb::Status,
            Act::Wait => Verb::Wait,
            Act::Expect => Verb::Expect,
        };
        Request { id: asked.request, instance: asked.instance.clone(), verb }
    }
}

/// The execution whose id a fresh instance has.
fn begun_by(instance: &InstanceId, act: &Act) -> Option<ExecutionId> {
    let Act::Start(_, Reuse::Fresh, _) = act else { return None };
    u128::from_str_radix(instance.as_str(), 16).ok().map(ExecutionId)
}

/// Names the operation that a client asks for with this request.
pub(crate) fn signal_of(request: RequestId) -> Text {
    format!("c{}", request.0).into()
}

pub(crate) fn named(act: &Act) -> &'static str {
    match act {
        Act::Start(_, _, Some(_)) => "asked: start later",
        Act::Start(_, Reuse::Fresh, _) => "asked: start fresh",
        Act::Start(_, Reuse::Join, _) => "asked: start or join",
        Act::Start(_, Reuse::Replace(_), _) => "asked: start or replace",
        Act::Raise(..) => "asked: raise",
        Act::RaiseEarly(..) => "asked: raise early",
        Act::StartOrRaise(..) => "asked: start or raise",
        Act::Restart(None) => "asked: restart",
        Act::Restart(Some(_)) => "asked: restart under another id",
        Act::Rewind => "asked: rewind",
        Act::Terminate(true) => "asked: terminate with children",
        Act::Terminate(false) => "asked: terminate",
        Act::Suspend => "asked: suspend",
        Act::Resume => "asked: resume",
        Act::Purge => "asked: purge",
        Act::PurgeAll => "asked: purge with children",
        Act::Clean => "asked: clean up",
        Act::Unlock(_) => "asked: unlock",
        Act::Signal(None) => "asked: signal",
        Act::Signal(Some(_)) => "asked: signal later",
        Act::Status => "asked: status",
        Act::Wait => "asked: wait",
        Act::Expect => "asked: wait for one that may come",
    }
}

fn refused(why: &Refusal) -> &'static str {
    match why {
        Refusal::NotFound(_) => "answers: not found",
        Refusal::Exists(..) => "answers: exists",
        Refusal::Ended(..) => "answers: ended",
        Refusal::NotEnded(..) => "answers: not ended",
        Refusal::NotFailed(..) => "answers: not failed",
        Refusal::CannotRewind(..) => "answers: cannot be rewound",
        Refusal::Busy(_) => "answers: busy",
        Refusal::Unavailable(..) => "answers: unavailable",
        Refusal::Moved(_) => "answers: moved",
        Refusal::TooLarge(..) => "answers: too large",
        _ => "answers: refused otherwise",
    }
}

fn answer_number(answer: &Answer) -> u64 {
    match answer {
        Answer::Started(execution) => u64::try_from(execution.0 >> 64).unwrap_or(0),
        Answer::Status(record) => record.events,
        Answer::Done => 1,
        _ => 0,
    }
}
