//! Entities: small durable objects that do one thing at a time, each under a name and a key.
//!
//! An entity is a struct that serde can write, and an `impl` block under
//! [`#[entity]`](macro@crate::entity). Its `async fn`s are its operations. Whoever knows its key
//! can ask for one; the entity is there as soon as it is asked for something, and goes when it has
//! no state any more.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use taskhub::prelude::*;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter { value: i64 }
//!
//! #[entity]
//! impl Counter {
//!     async fn add(&mut self, amount: i64) -> Result<i64> {
//!         self.value += amount;
//!         Ok(self.value)
//!     }
//! }
//!
//! #[orchestration]
//! async fn count(ctx: Context, visitor: String) -> Result<i64> {
//!     ctx.entity::<Counter>(&visitor).call(Counter::add, 1).await
//! }
//!
//! // A unit test of an operation is an ordinary call.
//! let mut counter = Counter::default();
//! assert_eq!(futures::executor::block_on(counter.add(5)), Ok(5));
//! ```
//!
//! [`howto::entities`](crate::howto::entities) has the rest: signals, locks, states from outside.

mod context;
mod perform;
mod proxy;
mod section;

pub use context::{EntityContext, SignalProxy};
pub use perform::Performer;
pub(crate) use perform::{Acting, Actor, Around, DELETE};
pub use proxy::EntityProxy;
pub(crate) use section::Sections;
pub use section::{CriticalSection, Lock, Lockable};
use taskhub_core::{InstanceId, InvalidInstanceId};

use crate::Data;

/// The state of an entity, written by the attribute: what it is called, and what it can do.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "has no #[entity] block",
    note = "put #[entity] on the `impl` with its operations"
)]
pub trait Entity: Data + Default + Send + Sync {
    /// Under what name it is registered and stored; without regard to case.
    const NAME: &'static str;

    #[doc(hidden)]
    fn operations() -> Vec<Performer<Self>>;
}

/// The id of the entity with this key.
pub(crate) fn id<E: Entity>(key: &str) -> Result<InstanceId, InvalidInstanceId> {
    InstanceId::entity(E::NAME, key)
}
