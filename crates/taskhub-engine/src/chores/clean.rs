//! A clean-up of entities: it forgets the empty ones, and gives back locks that nobody holds.

use taskhub_core::{
    Answer, EntityMetadata, ExecutionId, InstanceId, Refusal, Verb,
    mutation::{Mutation, mutated},
    store::{Cursor, Filter, StoreError},
};

use super::Asked;

/// What a clean-up found on one page of the entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Empty entities that were forgotten. They vanish by themselves, so there should be none.
    pub removed: u64,
    /// Locks that were given back, as the executions that held them are gone. The engine does so
    /// when a holder ends; what is left is of those that ended with a history that cannot be read.
    pub released: u64,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// Looks at up to `limit` entities from behind `after`: forgets those that are empty, and gives
/// back those that are locked by an execution that has ended, or is not there.
pub async fn clean_entities(
    hub: &impl Asked,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Cleaned, StoreError> {
    let page = hub.entities(Filter { after, limit, ..Filter::default() }).await?;
    let mut cleaned = Cleaned { next: page.next, ..Cleaned::default() };
    for entity in page.entities {
        let EntityMetadata { id, state, locked_by, execution, section, .. } = entity;
        let is_empty = state.is_none() && entity.backlog == 0 && entity.stuck.is_none();
        if let (Some(holder), Some(section)) = (locked_by, section) {
            let freed = is_gone(hub, holder, execution).await
                && hub.ask(id, Verb::Unlock { section }).await == Answer::Done;
            cleaned.released += u64::from(freed);
        } else if is_empty {
            // An empty one vanishes when it is looked at. Meanwhile it may have got a state.
            let gone = hub.ask(id, Verb::Status).await;
            let gone = matches!(gone, Answer::Refused(Refusal::NotFound(_)));
            cleaned.removed += u64::from(gone);
        }
    }
    Ok(cleaned)
}

/// Whether this execution has ended: what runs under its id may be another.
async fn is_gone(hub: &impl Asked, holder: InstanceId, execution: Option<ExecutionId>) -> bool {
    match hub.ask(holder, Verb::Status).await {
        Answer::Status(_) if mutated(Mutation::FreeAll) => true,
        Answer::Status(_) if mutated(Mutation::KeepOrphans) => false,
        Answer::Status(now) => {
            now.status.is_terminal() || execution.is_some_and(|it| it != now.execution)
        }
        answer => {
            matches!(answer, Answer::Refused(Refusal::NotFound(_)))
                && !mutated(Mutation::KeepOrphans)
        }
    }
}
