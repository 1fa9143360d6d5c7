//! Histories that could be, made from a list of small choices.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::{collection::vec, prelude::*};
use taskhub_core::{
    CallId, Event, ExecutionId, Failure, InstanceId, Kind, Operation, Outcome, Parent,
    RuntimeStatus, Started, Tags, Text, Timestamp, Trace, Work,
};

pub(crate) fn text() -> impl Strategy<Value = Text> {
    ".{0,9}".prop_map(Text::from)
}

pub(crate) fn maybe() -> impl Strategy<Value = Option<Text>> {
    prop::option::of(text())
}

pub(crate) fn name() -> impl Strategy<Value = Text> {
    "[A-Za-z]{1,9}".prop_map(Text::from)
}

pub(crate) fn tags() -> impl Strategy<Value = Tags> {
    prop::collection::btree_map("[a-z]{1,5}", ".{0,5}", 0..3).prop_map(|tags| {
        tags.into_iter().map(|(key, value)| (Text::from(key), Text::from(value))).collect()
    })
}

pub(crate) fn failure() -> impl Strategy<Value = Failure> {
    let one = (text(), text(), maybe(), any::<bool>());
    let one = one.prop_map(|(kind, message, stack, non_retriable)| Failure {
        stack,
        non_retriable,
        ..Failure::new(kind, message)
    });
    vec(one, 1..4).prop_map(|chain| {
        chain.into_iter().reduce(|cause, it| it.caused_by(cause)).expect("there is one")
    })
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![maybe().prop_map(Ok), failure().prop_map(Err)]
}

fn trace() -> impl Strategy<Value = Option<Trace>> {
    let trace = ("[0-9a-f-]{1,20}".prop_map(Text::from), maybe());
    prop::option::of(trace.prop_map(|(parent, state)| Trace { parent, state }))
}

pub(crate) fn work() -> impl Strategy<Value = Work> {
    (name(), prop::option::of(name()), maybe(), tags(), trace()).prop_map(
        |(name, version, input, tags, trace)| Work {
            version,
            tags,
            trace,
            ..Work::new(name, input)
        },
    )
}

pub(crate) fn id() -> impl Strategy<Value = InstanceId> {
    "[a-z0-9:-]{1,20}".prop_map(InstanceId::trusted)
}

pub(crate) fn entity() -> impl Strategy<Value = InstanceId> {
    "@[a-z]{1,5}@[a-zA-Z@]{0,5}".prop_map(InstanceId::trusted)
}

pub(crate) fn at() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_000i64..=253_402_300_799_999_999).prop_map(Timestamp)
}

pub(crate) fn started() -> impl Strategy<Value = Kind> {
    let parent = (id(), any::<u128>(), name(), 0..=i32::MAX.unsigned_abs());
    let parent = prop::option::of(parent.prop_map(|(instance, execution, name, call)| Parent {
        instance,
        execution: ExecutionId(execution),
        name,
        call: CallId(call),
    }));
    (work(), any::<u128>(), parent, prop::option::of(at())).prop_map(
        |(work, execution, parent, start_at)| {
            Kind::Started(Box::new(Started {
                version: work.version,
                tags: work.tags,
                trace: work.trace,
                parent,
                start_at,
                ..Started::new(work.name, work.input, ExecutionId(execution))
            }))
        },
    )
}

/// What code asks for; the ids are given to it later.
pub(crate) fn action() -> impl Strategy<Value = Kind> {
    let call = CallId(0);
    let operation = || (name(), maybe()).prop_map(|(name, input)| Operation::new("", name, input));
    let started = (id(), work(), prop::option::of(at()));
    let sent = (id(), text(), maybe());
    let signal = (entity(), operation(), prop::option::of(at()));
    let locks = prop::collection::btree_set(entity(), 1..3);
    prop_oneof![
        4 => work().prop_map(move |work| Kind::ActivityScheduled { call, work }),
        3 => (id(), work()).prop_map(move |(instance, work)| {
            Kind::ChildScheduled { call, instance, work }
        }),
        3 => at().prop_map(move |fire_at| Kind::TimerCreated { call, fire_at }),
        1 => started.prop_map(move |(instance, work, at)| {
            Kind::InstanceStarted { call, instance, work, at }
        }),
        1 => sent.prop_map(move |(to, name, input)| Kind::EventSent { call, to, name, input }),
        1 => (id(), maybe(), any::<bool>()).prop_map(move |(to, reason, recursive)| {
            Kind::TerminateSent { call, to, reason, recursive }
        }),
        2 => (entity(), operation()).prop_map(move |(entity, operation)| {
            Kind::OperationCalled { call, entity, operation }
        }),
        1 => signal.prop_map(move |(entity, operation, at)| {
            Kind::OperationSignaled { call, entity, operation, at }
        }),
        1 => locks.prop_map(move |locks| {
            let entities = locks.into_iter().collect::<Vec<_>>().into();
            Kind::LocksRequested { call, section: "".into(), entities }
        }),
        1 => entity().prop_map(move |entity| {
            Kind::Unlocked { call, section: "s".into(), entity }
        }),
        1 => (text(), text()).prop_map(move |(name, value)| Kind::Noted { call, name, value }),
    ]
}

/// What is to happen next.
#[derive(Debug, Clone)]
enum Choice {
    Finish(usize, Outcome),
    Raise(Text, Option<Text>),
    /// Takes some of what waits, asks for this, and cancels one call if it is told to.
    Turn {
        takes: u32,
        late: bool,
        actions: Vec<Kind>,
        cancel: bool,
    },
    Suspend(Option<Text>),
}

fn choice() -> impl Strategy<Value = Choice> {
    let turn = (1..4u32, any::<bool>(), vec(action(), 0..4), prop::bool::weighted(0.2));
    prop_oneof![
        3 => (any::<usize>(), outcome()).prop_map(|(which, outcome)| {
            Choice::Finish(which, outcome)
        }),
        1 => (text(), maybe()).prop_map(|(name, input)| Choice::Raise(name, input)),
        1 => maybe().prop_map(Choice::Suspend),
        3 => turn.prop_map(|(takes, late, actions, cancel)| {
            Choice::Turn { takes, late, actions, cancel }
        }),
    ]
}

/// A history of one execution: no two commits at the same time, and no time that it does not say.
pub(crate) fn history() -> impl Strategy<Value = Vec<Event>> {
    let status = prop::option::of(prop::sample::select(RuntimeStatus::ALL.to_vec()));
    (started(), vec(choice(), 0..30), status).prop_map(|(started, choices, status)| {
        let mut life = Life::default();
        life.arrive(started);
        for choice in choices {
            life.go_on(choice);
        }
        life.turn(u32::MAX, false, Vec::new());
        if let Some(status) = status {
            life.now += 10;
            life.write(Kind::Completed { status });
        }
        life.log
    })
}

#[derive(Default)]
struct Life {
    log: Vec<Event>,
    now: i64,
    /// What no turn took, each with the call that it ends.
    waiting: VecDeque<Option<CallId>>,
    open: BTreeMap<CallId, Kind>,
    /// Ids whose calls the code knows to have ended: some workers use them again.
    free: BTreeSet<CallId>,
    next: u32,
    suspended: bool,
}

impl Life {
    fn write(&mut self, kind: Kind) {
        self.log.push(Event { at: Timestamp(self.now), kind });
    }

    fn arrive(&mut self, kind: Kind) {
        self.now += 10;
        self.waiting.push_back(kind.call());
        self.write(kind);
    }

    fn go_on(&mut self, choice: Choice) {
        match choice {
            Choice::Finish(which, outcome) => {
                let Some(call) = self.open.keys().nth(which % self.open.len().max(1)).copied()
                else {
                    return;
                };
                self.finish(call, outcome);
            }
            Choice::Raise(name, input) => self.arrive(Kind::EventRaised { name, input }),
            Choice::Suspend(reason) => {
                self.suspended = !self.suspended;
                self.arrive(if self.suspended {
                    Kind::Suspended { reason }
                } else {
                    Kind::Resumed { reason }
                });
            }
            Choice::Turn { takes, late, mut actions, cancel } => {
                if let (true, Some(call)) = (cancel, self.open.pop_first()) {
                    actions.push(Kind::CallCancelled { call: call.0 });
                }
                self.turn(takes, late, actions);
            }
        }
    }

    fn finish(&mut self, call: CallId, outcome: Outcome) {
        let Some(asked) = self.open.remove(&call) else { return };
        self.arrive(match asked {
            Kind::ActivityScheduled { .. } => Kind::ActivityFinished { call, outcome },
            Kind::ChildScheduled { .. } => Kind::ChildFinished { call, outcome },
            Kind::OperationCalled { .. } => Kind::OperationFinished { call, outcome },
            Kind::LocksRequested { section, .. } => Kind::LocksGranted { call, section },
            _ => Kind::TimerFired { call },
        });
    }

    fn turn(&mut self, takes: u32, late: bool, actions: Vec<Kind>) {
        let takes = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).min(takes);
        if takes == 0 {
            return;
        }
        self.now += 10;
        self.free.extend(self.waiting.drain(..takes as usize).flatten());
        let clock = late.then_some(Timestamp(self.now - 5));
        self.write(Kind::TurnStarted { takes, clock });
        for action in actions {
            let action = self.named(action);
            if let Some(call) = action.call()
                && waits(&action)
            {
                self.open.insert(call, action.clone());
            }
            self.write(action);
        }
    }

    /// The same with an id: a free one sometimes, or else the next.
    fn named(&mut self, action: Kind) -> Kind {
        if matches!(action, Kind::CallCancelled { .. }) {
            return action;
        }
        let again = self.free.pop_first().filter(|_| waits(&action) && self.next % 2 == 1);
        let id = again.unwrap_or_else(|| {
            self.next += 1;
            CallId(self.next)
        });
        with_id(action, id, &format!("{}-{}", self.now, id.0))
    }
}

fn waits(action: &Kind) -> bool {
    matches!(
        action,
        Kind::ActivityScheduled { .. }
            | Kind::ChildScheduled { .. }
            | Kind::TimerCreated { .. }
            | Kind::OperationCalled { .. }
            | Kind::LocksRequested { .. }
    )
}

/// The same action with an id, and with a name where one is needed.
pub(crate) fn with_id(mut action: Kind, id: CallId, unique: &str) -> Kind {
    match &mut action {
        Kind::ActivityScheduled { call, .. }
        | Kind::ChildScheduled { call, .. }
        | Kind::TimerCreated { call, .. }
        | Kind::InstanceStarted { call, .. }
        | Kind::EventSent { call, .. }
        | Kind::TerminateSent { call, .. }
        | Kind::Unlocked { call, .. }
        | Kind::Noted { call, .. } => *call = id,
        Kind::OperationCalled { call, operation, .. }
        | Kind::OperationSignaled { call, operation, .. } => {
            (*call, operation.request) = (id, unique.into());
        }
        Kind::LocksRequested { call, section, .. } => (*call, *section) = (id, unique.into()),
        _ => {}
    }
    action
}
