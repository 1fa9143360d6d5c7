//! Lists of entities, page by page, and their clean-up.

use taskhub_core::{InstanceId, store};

use super::{Client, EntityRef, EntityStatus, ListError, Place, Untyped};
use crate::{Entity, Timestamp, entity};

/// Entities on a page, unless said otherwise; of a clean-up always.
const PAGE: usize = 100;

/// Which entities to list. What is not said matches all that have a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntityFilter {
    name: Option<String>,
    key: String,
    transient: bool,
    limit: Option<usize>,
    core: store::Filter,
    /// Where the page begins, if it is not the first.
    from: Option<Place>,
}

impl EntityFilter {
    /// All entities that have a state, 100 on a page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of this type.
    #[must_use]
    pub fn of<E: Entity>(self) -> Self {
        self.name(E::NAME)
    }

    /// Those of this name.
    #[must_use]
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().to_lowercase());
        self
    }

    /// Those whose key begins so.
    #[must_use]
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key = prefix.into();
        self
    }

    /// Those that changed last at this time or later.
    #[must_use]
    pub fn modified_from(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.updated_from = Some(time.into().core());
        self
    }

    /// Those that changed last before this time.
    #[must_use]
    pub fn modified_before(mut self, time: impl Into<Timestamp>) -> Self {
        self.core.updated_to = Some(time.into().core());
        self
    }

    /// Also those that have no state: they are locked, or have something to do.
    #[must_use]
    pub fn with_transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// At most so many on a page.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = Some(count.max(1));
        self
    }

    fn matches(&self, entity: &EntityStatus) -> bool {
        (self.transient || entity.state_text().is_some()) && entity.key().starts_with(&self.key)
    }
}

/// One page of a list of entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPage {
    /// The entities on it. There may be few, or none, and yet more pages.
    pub entities: Vec<EntityStatus>,
    /// What to list next; `None` at the end.
    pub next: Option<EntityFilter>,
}

/// What a clean-up found to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleaned {
    /// Empty entities that were forgotten.
    pub removed: u64,
    /// Locks that were given back, as whoever held them is gone.
    pub released: u64,
}

impl Client {
    /// The entity with this key, whether it is there or not. An id that cannot be one is reported
    /// by what is done with it.
    #[must_use]
    pub fn entity<E: Entity>(&self, key: impl AsRef<str>) -> EntityRef<E> {
        EntityRef::new(self.clone(), entity::id::<E>(key.as_ref()))
    }

    /// An entity that is known by its name only. What it can do is an
    /// [`External::operation`](crate::External::operation).
    #[must_use]
    pub fn entity_by_name(
        &self,
        name: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> EntityRef<Untyped> {
        EntityRef::new(self.clone(), InstanceId::entity(name.as_ref(), key.as_ref()))
    }

    /// One page of the entities that match, those first that came to be first.
    ///
    /// ```no_run
    /// # use serde::{Deserialize, Serialize};
    /// # use taskhub::{Client, EntityFilter, prelude::*};
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Counter { value: i64 }
    /// # #[entity]
    /// # impl Counter { async fn get(&self) -> Result<i64> { Ok(self.value) } }
    /// async fn sum(hub: &Client) -> Result<i64> {
    ///     let mut next = Some(EntityFilter::new().of::<Counter>());
    ///     let mut sum = 0;
    ///     while let Some(filter) = next {
    ///         let page = hub.entities(filter).await?;
    ///         for entity in page.entities {
    ///             sum += entity.state::<Counter>().transpose()?.map_or(0, |it| it.value);
    ///         }
    ///         next = page.next;
    ///     }
    ///     Ok(sum)
    /// }
    /// ```
    pub async fn entities(&self, mut filter: EntityFilter) -> Result<EntityPage, ListError> {
        let prefix = filter.name.as_ref().map(|name| format!("@{name}@{}", filter.key).into());
        let limit = filter.limit.unwrap_or(PAGE);
        let asked = store::Filter { prefix, limit, ..filter.core.clone() };
        let (found, next) = self.connection.entities(asked, filter.from.take()).await?;
        let entities = found.into_iter().map(EntityStatus::of);
        let entities = entities.filter(|entity| filter.matches(entity)).collect();
        let next = next.map(|from| EntityFilter { from: Some(from), ..filter });
        Ok(EntityPage { entities, next })
    }

    /// Forgets entities that are empty, and gives back those that are locked by an orchestration
    /// that is gone; says how many. There is hardly ever anything to do, as both happen by
    /// themselves: what is left are locks of orchestrations that were parked, with a history that
    /// cannot be read.
    pub async fn clean_entities(&self) -> Result<Cleaned, ListError> {
        let mut cleaned = Cleaned::default();
        let mut from = None;
        loop {
            let (page, next) = self.connection.clean_entities(from, PAGE).await?;
            cleaned.removed += page.removed;
            cleaned.released += page.released;
            from = next;
            if from.is_none() {
                return Ok(cleaned);
            }
        }
    }
}
