//! Instances as they were stored: their open ends, and their code, back from their history.

use bytes::Bytes;

use super::{
    entity::Entity,
    instance::Instance,
    ledger::Ledger,
    runner::{Early, Remote, Runner},
};
use crate::mutation::{Mutation, mutated};
use crate::{
    Event, InstanceId, Kind, Record, RuntimeStatus, Started, Timestamp,
    codec::{self, DecodeError},
    turn::{Execution, Functions, seen},
};

/// How the reason begins why an instance is parked whose next turn the store does not take.
pub(super) const UNWRITABLE: &str = "what it did next cannot be written";

impl Instance {
    /// An instance as it was stored; its code absorbs its history and will replay it when stepped.
    pub(super) fn load(
        id: InstanceId,
        record: Record,
        history: Vec<Bytes>,
        functions: &dyn Functions,
    ) -> Self {
        let mut instance = Self::known(id, record);
        instance.shows = false;
        if instance.record.status.is_terminal() {
            if instance.record.busy {
                instance.owe(&history);
            }
            instance.past = Some(history).filter(|history| !history.is_empty());
        } else if let Err(error) = instance.replay(&history, functions) {
            // Where it stood is all that is known of it, and how it began, if that can be read.
            instance.ledger.unread = !mutated(Mutation::ForgetUnread);
            instance.ledger.ran = instance.record.status != RuntimeStatus::Pending;
            instance.ledger.suspended = instance.record.status == RuntimeStatus::Suspended;
            instance.ledger.deadline = deadline(&history);
            instance.park(&format!("its history cannot be read: {error}"));
        }
        instance
    }

    /// One whose next turn the store does not take is not tried again because it was read: each
    /// time all others of its lane would have to wait.
    pub(super) fn stay_parked(&mut self) {
        if self.is_giant() {
            self.runner = Runner::Nobody;
        }
    }

    fn is_giant(&self) -> bool {
        let why = self.record.stuck.as_ref();
        why.is_some_and(|why| why.starts_with(UNWRITABLE)) && !mutated(Mutation::TryGiants)
    }

    /// It can be run: unless there is something to run, it is parked no longer.
    pub(super) fn is_mended(&mut self) {
        let rests = !self.ledger.has_turn() && !matches!(self.runner, Runner::Nobody);
        self.changed |= rests && self.record.stuck.take().is_some();
    }

    fn replay(&mut self, history: &[Bytes], functions: &dyn Functions) -> Result<(), DecodeError> {
        let events = codec::decode_history(history)?;
        if self.id.as_entity().is_some() {
            self.runner = Runner::Entity(Box::new(Entity::of(&events)));
            self.changed |= self.record.stuck.take().is_some();
            return Ok(());
        }
        if let Some(early) = Early::of(&events) {
            self.runner = Runner::Early(Box::new(early));
            return Ok(());
        }
        self.live(&events, functions);
        if !self.is_giant() {
            self.is_mended(); // It can be read again.
        }
        if let Some(remote) = self.runner.elsewhere() {
            remote.add(events);
        }
        Ok(())
    }

    /// It has ended, and the activities without a result are to be done, though some may be
    /// already.
    fn owe(&mut self, history: &[Bytes]) {
        let mut ledger = Ledger::default();
        for event in codec::decode_history(history).unwrap_or_default() {
            ledger.note(&event);
        }
        self.ledger = ledger.take_activities();
    }

    /// Takes note of a whole history.
    pub(super) fn live(&mut self, events: &[Event], functions: &dyn Functions) {
        for event in events {
            self.ledger.note(event);
        }
        let Some(Event { at, kind: Kind::Started(started) }) = events.first() else { return };
        self.runner = self.begin(started, *at, functions);
        let Some(code) = self.runner.here() else { return };
        code.replay_until(seen(events));
        for (position, event) in events.iter().enumerate() {
            let raised = matches!(event.kind, Kind::EventRaised { .. });
            if raised && mutated(Mutation::ForgetBuffered) {
                continue;
            }
            code.absorb(position as u64, event);
        }
    }

    /// Who runs an execution that was started so.
    pub(super) fn begin(
        &self,
        started: &Started,
        at: Timestamp,
        functions: &dyn Functions,
    ) -> Runner {
        match functions.orchestration(&started.name, started.version.as_deref()) {
            Some(code) => Runner::Here(Execution::begin(code, self.id.clone(), started, at)),
            None => Runner::Elsewhere(Remote::default()),
        }
    }
}

/// The deadline that a history begins with, whatever comes behind it.
fn deadline(history: &[Bytes]) -> Option<Timestamp> {
    match codec::decode_first(history.first()?).ok()?.kind {
        Kind::Started(started) => started.deadline,
        _ => None,
    }
}
