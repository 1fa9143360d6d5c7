//! An entity as others see it: what its stored history comes to.

use super::entity::Entity;
use crate::{ExecutionId, InstanceId, Text, Timestamp, codec, store::Stored};

/// What is known of an entity, as last committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityMetadata {
    /// Its id.
    pub id: InstanceId,
    /// Its state; `None` when it has none: it is only there because somebody locked it, or asked
    /// for operations that are not done yet. The field calls that a transient entity.
    pub state: Option<Text>,
    /// The orchestration that has it for itself, in a critical section.
    pub locked_by: Option<InstanceId>,
    /// The execution of that which has it. Only the hub itself knows.
    pub execution: Option<ExecutionId>,
    /// Names that section.
    pub section: Option<Text>,
    /// How many operations and locks it was asked for that are not done, later ones included.
    pub backlog: usize,
    /// When it last changed: its state, its lock, or what it was asked for.
    pub modified: Timestamp,
    /// Why it is parked, if it is: then nothing is known of its state.
    pub stuck: Option<Text>,
}

impl EntityMetadata {
    /// An entity of which nothing is known but when it changed.
    #[must_use]
    pub fn bare(id: InstanceId, modified: Timestamp) -> Self {
        let (state, locked_by, execution) = (None, None, None);
        let (section, backlog, stuck) = (None, 0, None);
        Self { id, state, locked_by, execution, section, backlog, modified, stuck }
    }

    /// What a stored entity comes to.
    #[must_use]
    pub fn of(id: InstanceId, stored: &Stored) -> Self {
        let Stored { record, history } = stored;
        let (entity, stuck) = match codec::decode_history(history) {
            Ok(events) => (Entity::of(&events), record.stuck.clone()),
            Err(why) => (Entity::default(), Some(why.to_string().into())),
        };
        Self {
            id,
            backlog: entity.backlog(),
            state: entity.now.state,
            section: entity.now.lock.as_ref().map(|lock| lock.section.clone()),
            execution: entity.now.lock.as_ref().map(|lock| lock.execution),
            locked_by: entity.now.lock.map(|lock| lock.holder),
            modified: record.updated_at,
            stuck,
        }
    }
}
