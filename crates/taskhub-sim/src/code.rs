//! The programs as real orchestrations, run by the core.

mod asking;
mod trying;

use std::time::Duration;

use futures::{
    StreamExt as _,
    future::{Either, join, join_all, select},
    stream::FuturesUnordered,
};
use taskhub_core::{
    Failure, InstanceId, Operation, Outcome, Tags, Text, Timestamp, Work,
    turn::{Command, ContinueAsNew, Functions, Orchestration, Pending, Run, Scope},
};

use crate::program::{
    Held, NEXT, Notes, Program, Step, entity, is_elsewhere, next_occurrence, occurrence, operation,
    shown, too_large, why_ended,
};

/// The version of every change.
pub(crate) const CHANGED: &str = "1";

/// What orchestrations panic with, before they are mended, and fail with, when their program says
/// so.
pub(crate) const WANTED: &str = "as the program says";

/// What a node or a worker can run, perhaps with a mistake.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    codes: Vec<Code>,
    serves: Serves,
}

/// Which programs somebody can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serves {
    /// A node of the first day: not the late ones, nor those that only workers elsewhere have.
    Early,
    /// A node of today: all but those that only workers elsewhere have.
    Late,
    /// A worker elsewhere: all.
    All,
}

/// What is wrong with code, until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// It panics where its program says so.
    Panics,
    /// It makes other calls than its histories have, too.
    Differs,
}

#[derive(Debug, Clone)]
struct Code {
    program: Program,
    version: Option<&'static str>,
    names: Vec<Text>,
    panics: bool,
    differs: bool,
}

impl Deployed {
    pub(crate) fn new(programs: &[Program], serves: Serves, flaw: Flaw) -> Self {
        let names: Vec<_> = programs.iter().map(|program| program.name.clone()).collect();
        let versions = |program| [None, Some(NEXT)].map(|version| (program, version));
        let code = |(program, version): (&Program, _)| Code {
            program: program.clone(),
            version,
            names: names.clone(),
            panics: flaw != Flaw::None,
            differs: flaw == Flaw::Differs
                && program.steps(version).first().is_some_and(makes_calls),
        };
        Self { codes: programs.iter().flat_map(versions).map(code).collect(), serves }
    }
}

fn makes_calls(step: &Step) -> bool {
    matches!(step, Step::Activity | Step::FanOut(_) | Step::Timer(_) | Step::EventOr(..))
}

impl Functions for Deployed {
    fn orchestration(&self, name: &str, version: Option<&str>) -> Option<&dyn Orchestration> {
        let served = match self.serves {
            Serves::Early => !name.starts_with("late") && !is_elsewhere(name, version),
            Serves::Late => !is_elsewhere(name, version),
            Serves::All => true,
        };
        if !served {
            return None;
        }
        let fits = |code: &&Code| *code.program.name == *name && code.version == version;
        Some(self.codes.iter().find(fits)?)
    }
}

impl Orchestration for Code {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        let code = self.clone();
        Box::pin(async move { code.run(scope, Notes::read(input.as_ref())).await })
    }
}

impl Code {
    async fn run(self, scope: Scope, mut notes: Notes) -> Outcome {
        if self.differs && scope.is_replaying() {
            let _ = scope.call(activity("forgotten", 0)).await;
        }
        for step in self.program.steps(self.version) {
            match step {
                Step::Again(rounds) => {
                    if notes.round < *rounds {
                        notes.round += 1;
                        go_on(&scope, &notes, None);
                        return Ok(None);
                    }
                }
                Step::Upgrade => {
                    go_on(&scope, &notes, Some(NEXT.into()));
                    return Ok(None);
                }
                Step::Occurrence(period) => {
                    wait_for_occurrence(&scope, *period, &mut notes).await;
                    go_on(&scope, &notes, None);
                    return Ok(None);
                }
                Step::Heavy => {
                    let _ = timer(&scope, 10).await;
                    let _ = scope.call(Command::Activity(work("heavy", Some(too_large())))).await;
                }
                Step::Panic => assert!(!self.panics, "{WANTED}"),
                Step::Fail => return Err(Failure::new("Wanted", WANTED)),
                Step::Must | Step::MustBoth | Step::MustChild(_) => {
                    self.demand(&scope, step, &mut notes).await?;
                }
                step => self.step(&scope, step, &mut notes).await,
            }
        }
        Ok(Some(notes.output()))
    }

    async fn step(&self, scope: &Scope, step: &Step, notes: &mut Notes) {
        let at = notes.entries.len();
        match step {
            Step::Activity => notes.note(shown(&scope.call(activity("work", at)).await)),
            Step::Retry(policy) => trying::retry(scope, policy, notes).await,
            Step::FanOut(width) => {
                let calls = (0..*width).map(|at| scope.call(activity("fan", at as usize)));
                for outcome in join_all(calls).await {
                    notes.note(shown(&outcome));
                }
            }
            Step::Unordered(width) => {
                let calls = (0..*width).map(|at| scope.call(activity("free", at as usize)));
                let mut calls: FuturesUnordered<_> = calls.collect();
                while let Some(outcome) = calls.next().await {
                    notes.note(shown(&outcome));
                }
            }
            Step::Event(name) => note_event(notes, name, &event(scope, name).await),
            Step::EventOr(name, pause) => {
                match select(event(scope, name), timer(scope, *pause)).await {
                    Either::Left((outcome, _)) => note_event(notes, name, &outcome),
                    Either::Right(_) => notes.note("late"),
                }
            }
            Step::Within(pause) => {
                let call = scope.call(activity("slow", at));
                match select(call, timer(scope, *pause)).await {
                    Either::Left((outcome, _)) => notes.note(shown(&outcome)),
                    Either::Right(_) => notes.note("late"),
                }
            }
            Step::Both(name) => {
                match select(scope.call(activity("both", at)), event(scope, name)).await {
                    Either::Left((outcome, rest)) => {
                        notes.note(shown(&outcome));
                        note_event(notes, name, &rest.await);
                    }
                    Either::Right((outcome, rest)) => {
                        note_event(notes, name, &outcome);
                        notes.note(shown(&rest.await));
                    }
                }
            }
            Step::Twice(name) => {
                let (one, two) = join(event(scope, name), event(scope, name)).await;
                note_event(notes, name, &one);
                note_event(notes, name, &two);
            }
            Step::Timer(pause) => {
                let _ = timer(scope, *pause).await;
                notes.note("woke");
            }
            Step::Leave | Step::Poll(_) | Step::Question(..) | Step::Answer(_) => {
                asking::ask(scope, step, notes).await;
            }
            step => self.outward(scope, step, notes).await,
        }
    }

    /// The steps that concern other instances, and those that only look.
    async fn outward(&self, scope: &Scope, step: &Step, notes: &mut Notes) {
        match step {
            Step::Child(program, id) => {
                notes.note(shown(&self.child(scope, *program, id.clone()).await));
            }
            Step::Children(program) => {
                let two =
                    join(self.child(scope, *program, None), self.child(scope, *program, None));
                let (one, two) = two.await;
                notes.note(shown(&one));
                notes.note(shown(&two));
            }
            Step::ChildOr(program, pause) => {
                let child = self.child(scope, *program, None);
                match select(child, timer(scope, *pause)).await {
                    Either::Left((outcome, _)) => notes.note(shown(&outcome)),
                    Either::Right(_) => notes.note("late"),
                }
            }
            Step::Send(to, name) => {
                let payload = format!("{}.{}", scope.execution(), notes.entries.len());
                notes.note("sent");
                scope.send(to.clone(), (*name).into(), Some(payload.into()));
            }
            Step::Change(name) => {
                let version = scope.note((*name).into(), CHANGED.into());
                notes.note(version.as_deref().unwrap_or("unchanged"));
            }
            Step::Spawn(program, later) => {
                let work = work(&self.names[*program], None);
                let at = later.map(|pause| after(scope, pause));
                notes.note("began");
                scope.tell_at(scope.place(), Command::Start { instance: None, work, at });
            }
            Step::End(to, recursive) => {
                let (to, recursive) = (to.clone(), *recursive);
                let reason = Some(why_ended("told", recursive));
                scope.tell_at(scope.place(), Command::Terminate { to, reason, recursive });
            }
            Step::Broad => asking::ask_at_length(scope, notes).await,
            Step::Status => scope.set_custom_status(notes.output()),
            Step::Clock => notes.note(format!("{}", scope.now().0)),
            Step::Unique => notes.note(format!("{:x}", scope.unique())),
            step => self.use_entities(scope, step, notes).await,
        }
    }

    /// The steps that concern entities. What is asked for in one poll is ordered by where it
    /// stands here.
    async fn use_entities(&self, scope: &Scope, step: &Step, notes: &mut Notes) {
        match step {
            Step::Unlock => {
                if let Some(Held { section, entities }) = notes.held.take() {
                    for entity in entities {
                        scope.tell_at(
                            scope.place(),
                            Command::Unlock { section: section.clone(), entity },
                        );
                    }
                }
            }
            Step::Tell(index, later) => {
                let (entity, operation) = (entity(*index), asked(scope, notes));
                let at = later.map(|pause| after(scope, pause));
                notes.note("told");
                scope.tell_at(scope.place(), Command::Signal { entity, operation, at });
            }
            Step::Ask(index) => {
                let (entity, operation) = (entity(*index), asked(scope, notes));
                notes.note(shown(&scope.call(Command::Operation { entity, operation }).await));
            }
            Step::Lock(indexes) => {
                let section = scope.call(lock(indexes)).await;
                hold(notes, indexes, section);
            }
            Step::LockOr(indexes, pause) => {
                match select(scope.call(lock(indexes)), timer(scope, *pause)).await {
                    Either::Left((section, _)) => hold(notes, indexes, section),
                    Either::Right(_) => notes.note("late"),
                }
            }
            Step::Inside => {
                for entity in notes.locked() {
                    let operation = asked(scope, notes);
                    notes.note(shown(&scope.call(Command::Operation { entity, operation }).await));
                }
            }
            _ => {}
        }
    }

    fn child(&self, scope: &Scope, program: usize, instance: Option<InstanceId>) -> Pending {
        scope.call(Command::Child { instance, work: work(&self.names[program], None) })
    }
}

fn go_on(scope: &Scope, notes: &Notes, version: Option<Text>) {
    let input = Some(notes.write());
    let tags = version.as_ref().map(|version| tags(version));
    scope.continue_as_new(ContinueAsNew { input, version, keep_events: true, tags });
}

/// The only label of an instance.
pub(crate) fn tags(label: &str) -> Tags {
    [("label".into(), label.into())].into()
}

/// Runs for one time of a schedule; what was missed meanwhile is left out.
async fn wait_for_occurrence(scope: &Scope, period: u64, notes: &mut Notes) {
    let fire_at = occurrence(period, notes.round);
    match select(event(scope, "go"), scope.call(Command::Timer { fire_at })).await {
        Either::Left((outcome, _)) => note_event(notes, "go", &outcome),
        Either::Right(_) => {
            let _ = scope.call(activity("tick", notes.round as usize)).await;
            notes.round = next_occurrence(period, scope.now());
        }
    }
}

/// An activity of that name, with a number as its input.
fn activity(name: &str, input: usize) -> Command {
    Command::Activity(work(name, Some(input.to_string().into())))
}

/// A function of that name with that input.
pub(crate) fn work(name: &str, input: Option<Text>) -> Work {
    Work::new(name, input)
}

/// The next operation that this execution asks for.
fn asked(scope: &Scope, notes: &Notes) -> Operation {
    operation(scope.execution(), notes.entries.len())
}

fn lock(indexes: &[usize]) -> Command {
    Command::Lock { entities: indexes.iter().copied().map(entity).collect() }
}

fn hold(notes: &mut Notes, indexes: &[usize], section: Outcome) {
    notes.note("locked");
    let entities = indexes.iter().copied().map(entity).collect();
    let section = section.ok().flatten().unwrap_or_default();
    notes.held = Some(Held { section, entities });
}

fn after(scope: &Scope, pause: u64) -> Timestamp {
    scope.now().plus(Duration::from_millis(pause))
}

fn timer(scope: &Scope, pause: u64) -> Pending {
    scope.call(Command::Timer { fire_at: after(scope, pause) })
}

fn event(scope: &Scope, name: &'static str) -> Pending {
    scope.call(Command::Event { name: name.into() })
}

fn note_event(notes: &mut Notes, name: &str, outcome: &Outcome) {
    notes.note_event(name, &shown(outcome));
}
