//! What a node does for its clients in many steps, each of them a question or a look.
//!
//! None of it is one commit, and the node may die in the midst of it: whoever asked asks again.

mod clean;
mod purge;

use taskhub_core::{
    Answer, Event, InstanceId, Verb,
    store::{Filter, StoreError},
};

pub use clean::{Cleaned, clean_entities};
pub(crate) use purge::purgeable;
pub use purge::{purge_ended, purge_with_children};

use crate::{EntityPage, Hub};

/// Who is asked, and lets one look at what is stored: a hub, or a simulated one.
pub trait Asked: Sync {
    /// Asks the owner of an instance.
    fn ask(&self, instance: InstanceId, verb: Verb) -> impl Future<Output = Answer> + Send;

    /// The history of an instance, as last committed; `None` when there is no such instance.
    fn history(
        &self,
        instance: InstanceId,
    ) -> impl Future<Output = Result<Option<Vec<Event>>, StoreError>> + Send;

    /// Lists entities, as last committed.
    fn entities(
        &self,
        filter: Filter,
    ) -> impl Future<Output = Result<EntityPage, StoreError>> + Send;
}

impl Asked for Hub {
    async fn ask(&self, instance: InstanceId, verb: Verb) -> Answer {
        self.ask(instance, verb).await
    }

    async fn history(&self, instance: InstanceId) -> Result<Option<Vec<Event>>, StoreError> {
        self.history(instance).await
    }

    async fn entities(&self, filter: Filter) -> Result<EntityPage, StoreError> {
        self.entities(filter).await
    }
}
