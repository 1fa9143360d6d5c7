//! Calls that the code makes against calls that history has.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::{self, Display},
    panic::Location,
};

use super::Command;
use crate::mutation::{Mutation, mutated};
use crate::{CallId, ExecutionId, InstanceId, Kind, Operation, Text};

/// A call without an id, to be matched with history.
pub(super) struct Asked<'a> {
    pub seq: u64,
    pub command: &'a Command,
    pub location: &'static Location<'static>,
}

/// What history says the code will call, in order of ids; empty once the replay is through.
#[derive(Debug, Default)]
pub(super) struct Plan {
    expected: VecDeque<(CallId, Kind)>,
    next: u32,
    /// Whether the code must not call anything that history does not have.
    pub sealed: bool,
    /// The first call that has another input than in history.
    pub drift: Option<Text>,
}

/// A call that got its id, and the event to write when history does not have it yet.
pub(super) type Assigned = (u64, CallId, Option<Kind>);

impl Plan {
    /// History has this call.
    pub(super) fn expect(&mut self, call: CallId, kind: Kind) {
        self.next = call.0 + 1;
        self.expected.push_back((call, kind));
    }

    /// History has this call, and the code need not make it again.
    pub(super) fn skip(&mut self, call: CallId) {
        self.next = call.0 + 1;
    }

    /// Whether history has this call and the code has not made it yet.
    pub(super) fn expects(&self, call: CallId) -> bool {
        self.expected.front().is_some_and(|(first, _)| *first <= call)
            && self.expected.back().is_some_and(|(last, _)| *last >= call)
    }

    /// What history has and the code did not call, when it should have by now.
    pub(super) fn missing(&self) -> Option<Text> {
        let (call, kind) = self.expected.front()?;
        Some(format!("history has {call} {}, the code made no such call", Shown(kind)).into())
    }

    /// Gives ids to the calls of one poll, sorted by creation: those of history, or new ones.
    ///
    /// Branches of one poll may have run in another order than in history, so each call takes the
    /// first planned one of the same kind, name and input, or else of the same kind and name.
    pub(super) fn assign(
        &mut self,
        execution: ExecutionId,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Assigned>, Text> {
        let known = asked.len().min(self.expected.len());
        let planned: Vec<_> = self.expected.drain(..known).collect();
        let chosen = choose(&planned, asked);
        let mut unmatched =
            planned.iter().enumerate().filter(|(at, _)| !chosen.contains_value(*at));
        let mut assigned = Vec::with_capacity(asked.len());
        for (index, fresh) in asked.iter().enumerate() {
            if let Some(at) = chosen.by_asked.get(&index) {
                let (call, kind) = &planned[*at];
                if self.drift.is_none() && !alike(kind, fresh.command, true) {
                    self.drift = Some(differs(*call, kind, fresh).into());
                }
                assigned.push((fresh.seq, planned[*at].0, None));
            } else if let Some((_, (call, kind))) = unmatched.next() {
                return Err(mismatch(*call, kind, fresh));
            } else if self.sealed {
                return Err(beyond(fresh));
            } else {
                let call = CallId(self.next);
                self.next += 1;
                assigned.push((fresh.seq, call, Some(event(execution, call, fresh.command))));
            }
        }
        Ok(assigned)
    }
}

#[derive(Default)]
struct Chosen {
    by_asked: BTreeMap<usize, usize>,
    taken: Vec<bool>,
}

impl Chosen {
    fn contains_value(&self, planned: usize) -> bool {
        self.taken.get(planned).copied().unwrap_or(false)
    }
}

fn choose(planned: &[(CallId, Kind)], asked: &[Asked<'_>]) -> Chosen {
    let mut chosen = Chosen { taken: vec![false; planned.len()], ..Default::default() };
    // A call that stands at its old place with its old input needs no search.
    let mut searched = Vec::new();
    for (index, fresh) in asked.iter().enumerate() {
        match planned.get(index) {
            Some((_, kind)) if alike(kind, fresh.command, true) => {
                chosen.by_asked.insert(index, index);
                chosen.taken[index] = true;
            }
            _ => searched.push(index),
        }
    }
    for exact in [true, false] {
        searched.retain(|index| {
            let free = planned.iter().enumerate().find(|(at, (_, kind))| {
                !chosen.taken[*at] && alike(kind, asked[*index].command, exact)
            });
            let Some((at, _)) = free else { return true };
            chosen.by_asked.insert(*index, at);
            chosen.taken[at] = true;
            false
        });
    }
    chosen
}

/// Whether history's call is of the same kind and name as the code's, and of the same input too
/// where that is `exact`ly asked for. Names are compared as the field does: case is ignored.
fn alike(kind: &Kind, command: &Command, exact: bool) -> bool {
    if mutated(Mutation::MatchBlindly) {
        return true;
    }
    match (kind, command) {
        (Kind::ActivityScheduled { work: old, .. }, Command::Activity(new)) => {
            same_name(&old.name, &new.name) && (!exact || old.input == new.input)
        }
        (
            Kind::ChildScheduled { work: old, instance: was, .. },
            Command::Child { work, instance },
        ) => {
            same_name(&old.name, &work.name)
                && (!exact || old.input == work.input)
                && instance.as_ref().is_none_or(|is| is == was)
        }
        (Kind::TimerCreated { fire_at: old, .. }, Command::Timer { fire_at }) => {
            !exact || old == fire_at
        }
        (
            Kind::EventSent { name: old, to: was, input: sent, .. },
            Command::Send { to, name, input },
        ) => same_name(old, name) && (!exact || (was == to && sent == input)),
        (
            Kind::OperationCalled { entity: was, operation: old, .. },
            Command::Operation { entity, operation: new },
        ) => {
            same_name(&old.name, &new.name) && (!exact || (was == entity && old.input == new.input))
        }
        (
            Kind::OperationSignaled { entity: was, operation: old, at: then, .. },
            Command::Signal { entity, operation: new, at },
        ) => {
            same_name(&old.name, &new.name)
                && (!exact || (was == entity && old.input == new.input && then == at))
        }
        (Kind::LocksRequested { entities: old, .. }, Command::Lock { entities }) => {
            !exact || **old == *sorted(entities)
        }
        (
            Kind::InstanceStarted { work: old, instance: was, .. },
            Command::Start { work, instance, .. },
        ) => {
            same_name(&old.name, &work.name)
                && (!exact || old.input == work.input)
                && instance.as_ref().is_none_or(|is| is == was)
        }
        (Kind::Unlocked { entity: was, .. }, Command::Unlock { entity, .. }) => {
            !exact || was == entity
        }
        (Kind::TerminateSent { to: was, .. }, Command::Terminate { to, .. }) => !exact || was == to,
        _ => false,
    }
}

/// Entities are locked in this order by everybody, so that nobody waits for each other.
fn sorted(entities: &[InstanceId]) -> Vec<InstanceId> {
    let mut sorted = entities.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

fn same_name(old: &str, new: &str) -> bool {
    old == new || old.to_lowercase() == new.to_lowercase()
}

fn event(execution: ExecutionId, call: CallId, command: &Command) -> Kind {
    let own_id = || InstanceId::of_child(execution, call);
    match command.clone() {
        Command::Activity(work) => Kind::ActivityScheduled { call, work },
        Command::Child { instance, work } => {
            Kind::ChildScheduled { call, instance: instance.unwrap_or_else(own_id), work }
        }
        Command::Timer { fire_at } => Kind::TimerCreated { call, fire_at },
        Command::Operation { entity, operation } => {
            Kind::OperationCalled { call, entity, operation: named(operation, execution, call) }
        }
        Command::Lock { entities } => {
            let section = own_id().to_string().into();
            Kind::LocksRequested { call, section, entities: sorted(&entities).into() }
        }
        Command::Start { instance, work, at } => {
            Kind::InstanceStarted { call, instance: instance.unwrap_or_else(own_id), work, at }
        }
        Command::Signal { entity, operation, at } => {
            let operation = named(operation, execution, call);
            Kind::OperationSignaled { call, entity, operation, at }
        }
        Command::Unlock { section, entity } => Kind::Unlocked { call, section, entity },
        Command::Terminate { to, reason, recursive } => {
            Kind::TerminateSent { call, to, reason, recursive }
        }
        Command::Note { name, value } => Kind::Noted { call, name, value },
        Command::Send { to, name, input } => Kind::EventSent { call, to, name, input },
        Command::Event { .. } => unreachable!("waiting for an event is not recorded"),
    }
}

/// The operation, with a name for the request if it has none.
fn named(mut operation: Operation, execution: ExecutionId, call: CallId) -> Operation {
    if operation.request.is_empty() {
        operation.request = InstanceId::of_child(execution, call).to_string().into();
    }
    operation
}

fn beyond(asked: &Asked<'_>) -> Text {
    let Asked { command, location, .. } = asked;
    format!("history has no further call, the code asked for {} at {location}", Wanted(command))
        .into()
}

fn mismatch(call: CallId, kind: &Kind, asked: &Asked<'_>) -> Text {
    format!(
        "history has {call} {}, the code asked for {} at {}",
        Shown(kind),
        Wanted(asked.command),
        asked.location
    )
    .into()
}

fn differs(call: CallId, kind: &Kind, asked: &Asked<'_>) -> String {
    let (was, is) = match (kind, asked.command) {
        (Kind::ActivityScheduled { work: old, .. }, Command::Activity(new))
        | (Kind::ChildScheduled { work: old, .. }, Command::Child { work: new, .. }) => {
            (input(old.input.as_deref()), input(new.input.as_deref()))
        }
        (Kind::EventSent { to: was, input: old, .. }, Command::Send { to, input: new, .. }) => {
            let (old, new) = (input(old.as_deref()), input(new.as_deref()));
            (format!("{old} to {was}"), format!("{new} to {to}"))
        }
        _ => return mismatch(call, kind, asked).to_string(),
    };
    format!(
        "history has {call} {} with the input {was}, the code now gives it {is} at {}",
        Shown(kind),
        asked.location
    )
}

fn input(input: Option<&str>) -> String {
    input.unwrap_or("null").chars().take(200).collect()
}

struct Shown<'a>(&'a Kind);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::ActivityScheduled { work, .. } => write!(f, "activity `{}`", work.name),
            Kind::ChildScheduled { work, .. } => write!(f, "orchestration `{}`", work.name),
            Kind::TimerCreated { fire_at, .. } => write!(f, "a timer for {fire_at}"),
            Kind::EventSent { name, to, .. } => write!(f, "event `{name}` to {to}"),
            Kind::OperationCalled { entity, operation, .. }
            | Kind::OperationSignaled { entity, operation, .. } => {
                write!(f, "operation `{}` of {entity}", operation.name)
            }
            Kind::LocksRequested { entities, .. } => write!(f, "a lock of {entities:?}"),
            Kind::Unlocked { entity, .. } => write!(f, "the unlocking of {entity}"),
            Kind::InstanceStarted { work, .. } => write!(f, "a start of `{}`", work.name),
            Kind::TerminateSent { to, .. } => write!(f, "the termination of {to}"),
            other => write!(f, "{other:?}"),
        }
    }
}

struct Wanted<'a>(&'a Command);

impl Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Command::Activity(work) => write!(f, "activity `{}`", work.name),
            Command::Child { work, .. } => write!(f, "orchestration `{}`", work.name),
            Command::Timer { fire_at } => write!(f, "a timer for {fire_at}"),
            Command::Send { name, to, .. } => write!(f, "event `{name}` to {to}"),
            Command::Event { name } => write!(f, "the event `{name}`"),
            Command::Operation { entity, operation }
            | Command::Signal { entity, operation, .. } => {
                write!(f, "operation `{}` of {entity}", operation.name)
            }
            Command::Lock { entities } => write!(f, "a lock of {entities:?}"),
            Command::Unlock { entity, .. } => write!(f, "the unlocking of {entity}"),
            Command::Start { work, .. } => write!(f, "a start of `{}`", work.name),
            Command::Terminate { to, .. } => write!(f, "the termination of {to}"),
            Command::Note { name, .. } => write!(f, "a note on `{name}`"),
        }
    }
}
