//! Entities as the store has them: one, or a page of them.

use taskhub_core::{
    EntityMetadata, InstanceId,
    store::{Cursor, Filter, Store, StoreError, Which},
};

use super::Hub;
use crate::chores::{self, Cleaned};

/// How many bytes of state a page has; clients receive 4 MB by default. One entity may have more.
const PAGE_BYTES_MAX: usize = 2 << 20;

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
        self.read(move |store| EntityPage::read(store, filter)).await
    }

    /// Looks at up to `limit` entities from behind `after`: forgets those that are empty, and gives
    /// back those that are locked by an execution that has ended, or is not there.
    pub async fn clean_entities(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Cleaned, StoreError> {
        chores::clean_entities(self, after, limit).await
    }
}

impl EntityPage {
    /// Reads a page from a store, as last committed.
    pub fn read(store: &dyn Store, filter: Filter) -> Result<Self, StoreError> {
        let page = store.query(&Filter { kind: Which::Entities, ..filter })?;
        let mut read = Self { entities: Vec::new(), next: page.next };
        let (mut bytes, mut before) = (0, None);
        for (id, record) in page.instances {
            // Those that vanish in between are left out.
            let Some(entity) = load(store, id.clone())? else { continue };
            bytes += entity.state.as_ref().map_or(0, |state| state.len());
            if bytes > PAGE_BYTES_MAX && before.is_some() {
                read.next = before;
                break;
            }
            read.entities.push(entity);
            before = Some(Cursor { at: record.created_at, instance: id });
        }
        Ok(read)
    }
}

fn load(store: &dyn Store, id: InstanceId) -> Result<Option<EntityMetadata>, StoreError> {
    Ok(store.load(&id)?.map(|stored| EntityMetadata::of(id, &stored)))
}
