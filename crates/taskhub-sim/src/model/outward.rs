//! The steps that concern other instances, and the ids of all calls.

use std::{sync::Arc, time::Duration};

use taskhub_core::{CallId, InstanceId, Kind, Text, Timestamp};

use super::{Teller, UNKNOWN, Wait};
use crate::{
    code::CHANGED,
    program::{Held, Step, entity, operation, why_ended},
};

impl Teller<'_> {
    pub(super) fn outward(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Child(program, id) => {
                let call = self.child(*program, id.clone());
                self.note_first(call)?;
            }
            Step::Children(program) => {
                let calls = [self.child(*program, None), self.child(*program, None)];
                self.join(&calls)?;
            }
            Step::ChildOr(program, pause) => {
                let (child, timer) = (self.child(*program, None), self.timer(*pause));
                let (winner, outcome) = self.first(&[Wait::Call(child), Wait::Call(timer)])?;
                self.dropped.insert(if winner == 0 { timer } else { child }, self.turn);
                self.notes.note(if winner == 0 { outcome } else { "late".to_owned() });
            }
            Step::Send(to, name) => {
                let payload = format!("{}.{}", self.execution, self.notes.entries.len());
                self.notes.note("sent");
                let (to, name, input) = (to.clone(), Text::from(*name), Some(payload.into()));
                self.call(Kind::EventSent { call: UNKNOWN, to, name, input });
            }
            Step::Change(name) => {
                self.notes.note(CHANGED);
                let (name, value) = (Text::from(*name), Text::from(CHANGED));
                let noted = |it: &Kind| matches!(it, Kind::Noted { name: it, .. } if *it == name);
                if !self.rewound && !self.calls.iter().any(noted) {
                    self.call(Kind::Noted { call: UNKNOWN, name, value });
                }
            }
            Step::Spawn(program, later) => {
                let work = crate::code::work(&self.programs[*program].name, None);
                let (instance, at) = (InstanceId::trusted(""), self.after(*later));
                self.notes.note("began");
                self.call(Kind::InstanceStarted { call: UNKNOWN, instance, work, at });
            }
            Step::End(to, recursive) => {
                let (to, recursive) = (to.clone(), *recursive);
                let reason = Some(why_ended("told", recursive));
                self.call(Kind::TerminateSent { call: UNKNOWN, to, reason, recursive });
            }
            Step::Broad => self.ask_at_length()?,
            Step::Status => self.status = Some(self.notes.output()),
            Step::Clock => self.notes.note(format!("{}", self.now.0)),
            Step::Unique => {
                self.uniques += 1;
                let unique = self.execution.derive(u64::MAX - self.uniques).0;
                self.notes.note(format!("{unique:x}"));
            }
            step => self.use_entities(step)?,
        }
        Some(())
    }

    fn use_entities(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Ask(index) => self.operate(entity(*index))?,
            Step::Tell(index, later) => {
                let operation = operation(self.execution, self.notes.entries.len());
                let (entity, at) = (entity(*index), self.after(*later));
                self.notes.note("told");
                self.call(Kind::OperationSignaled { call: UNKNOWN, entity, operation, at });
            }
            Step::Lock(indexes) => {
                let lock = self.lock(indexes);
                self.first(&[Wait::Call(lock)])?;
                self.hold(lock, indexes);
            }
            Step::LockOr(indexes, pause) => {
                let (lock, timer) = (self.lock(indexes), self.timer(*pause));
                let (winner, _) = self.first(&[Wait::Call(lock), Wait::Call(timer)])?;
                if winner == 0 {
                    self.dropped.insert(timer, self.turn);
                    self.hold(lock, indexes);
                } else {
                    self.dropped.insert(lock, self.turn);
                    self.notes.note("late");
                }
            }
            Step::Inside => {
                for entity in self.notes.locked() {
                    self.operate(entity)?;
                }
            }
            Step::Unlock => {
                if let Some(Held { section, entities }) = self.notes.held.take() {
                    for entity in entities {
                        let section = section.clone();
                        self.call(Kind::Unlocked { call: UNKNOWN, section, entity });
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn operate(&mut self, entity: InstanceId) -> Option<()> {
        let operation = operation(self.execution, self.notes.entries.len());
        let call = self.call(Kind::OperationCalled { call: UNKNOWN, entity, operation });
        self.note_first(call)
    }

    fn lock(&mut self, indexes: &[usize]) -> usize {
        let mut entities: Vec<_> = indexes.iter().copied().map(entity).collect();
        entities.sort();
        let entities: Arc<[InstanceId]> = entities.into();
        self.call(Kind::LocksRequested { call: UNKNOWN, section: "".into(), entities })
    }

    fn hold(&mut self, lock: usize, indexes: &[usize]) {
        self.notes.note("locked");
        let Kind::LocksRequested { section, .. } = &self.calls[lock] else { return };
        let entities = indexes.iter().copied().map(entity).collect();
        self.notes.held = Some(Held { section: section.clone(), entities });
    }

    fn after(&self, later: Option<u64>) -> Option<Timestamp> {
        later.map(|pause| self.now.plus(Duration::from_millis(pause)))
    }

    pub(super) fn child(&mut self, program: usize, id: Option<InstanceId>) -> usize {
        let work = crate::code::work(&self.programs[program].name, None);
        let instance = id.unwrap_or_else(|| InstanceId::trusted(""));
        self.call(Kind::ChildScheduled { call: UNKNOWN, instance, work })
    }

    /// A call as history has it, once its id is known: what it is named after that is named.
    pub(super) fn with_id(&self, kind: &Kind, id: CallId) -> Kind {
        let mut kind = kind.clone();
        let own = InstanceId::of_child(self.execution, id);
        match &mut kind {
            Kind::ActivityScheduled { call, .. }
            | Kind::TimerCreated { call, .. }
            | Kind::TerminateSent { call, .. }
            | Kind::Noted { call, .. }
            | Kind::Unlocked { call, .. }
            | Kind::EventSent { call, .. } => *call = id,
            Kind::ChildScheduled { call, instance, .. }
            | Kind::InstanceStarted { call, instance, .. } => {
                *call = id;
                if instance.as_str().is_empty() {
                    *instance = own;
                }
            }
            Kind::OperationCalled { call, operation, .. }
            | Kind::OperationSignaled { call, operation, .. } => {
                *call = id;
                operation.request = own.to_string().into();
            }
            Kind::LocksRequested { call, section, .. } => {
                *call = id;
                *section = own.to_string().into();
            }
            _ => {}
        }
        kind
    }
}
