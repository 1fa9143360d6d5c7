//! Entities as the store has them: one, or a page of them.

use taskhub_core::{
    Answer, EntityMetadata, ExecutionId, InstanceId, Refusal, Verb,
    store::{Cursor, Filter, Store, StoreError, Which},
};

use super::Hub;

/// One page of a list of entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityPage {
    /// The entities on it. One that has no state is there as long as something is to be done.
    pub entities: Vec<EntityMetadata>,
    /// Where the next page begins; `None` at the end. A page may be short and not the last.
    pub next: Option<Cursor>,
}

impl Hub {
    /// An entity, as last committed; `None` when there is no such entity.
    pub async fn entity(&self, id: InstanceId) -> Result<Option<EntityMetadata>, StoreError> {
        if id.as_entity().is_none() {
            return Ok(None);
        }
        self.read(move |store| load(store, id)).await
    }

    /// Lists entities, as last committed. Whatever kind `filter` asks for, it is entities.
    pub async fn entities(&self, filter: Filter) -> Result<EntityPage, StoreError> {
        self.read(move |store| {
            let page = store.query(&Filter { kind: Which::Entities, ..filter })?;
            let ids = page.instances.into_iter().map(|(id, _)| id);
            // Those that vanish in between are left out.
            let entities = ids.filter_map(|id| load(store, id).transpose());
            Ok(EntityPage { entities: entities.collect::<Result<_, _>>()?, next: page.next })
        })
        .await
    }
}

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

impl Hub {
    /// Looks at up to `limit` entities from behind `after`: forgets those that are empty, and gives
    /// back those that are locked by an execution that has ended, or is not there.
    pub async fn clean_entities(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Cleaned, StoreError> {
        let page = self.entities(Filter { after, limit, ..Filter::default() }).await?;
        let mut cleaned = Cleaned { next: page.next, ..Cleaned::default() };
        for entity in page.entities {
            let EntityMetadata { id, state, locked_by, execution, section, .. } = entity;
            let is_empty = state.is_none() && entity.backlog == 0 && entity.stuck.is_none();
            if let (Some(holder), Some(section)) = (locked_by, section) {
                let freed = self.is_gone(holder, execution).await
                    && self.ask(id, Verb::Unlock { section }).await == Answer::Done;
                cleaned.released += u64::from(freed);
            } else if is_empty {
                let gone = self.ask(id, Verb::Purge).await == Answer::Done;
                cleaned.removed += u64::from(gone);
            }
        }
        Ok(cleaned)
    }

    /// Whether this execution has ended: what runs under its id may be another.
    async fn is_gone(&self, holder: InstanceId, execution: Option<ExecutionId>) -> bool {
        match self.ask(holder, Verb::Status).await {
            Answer::Status(now) => {
                now.status.is_terminal() || execution.is_some_and(|it| it != now.execution)
            }
            answer => matches!(answer, Answer::Refused(Refusal::NotFound(_))),
        }
    }
}

fn load(store: &dyn Store, id: InstanceId) -> Result<Option<EntityMetadata>, StoreError> {
    Ok(store.load(&id)?.map(|stored| EntityMetadata::of(id, &stored)))
}
