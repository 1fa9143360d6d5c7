//! The words and the laws of Taskhub, without any I/O.
//!
//! - A **hub** is everything stored under one name. Its instances are shared out over a fixed
//!   number of **partitions**.
//! - An **instance** is one run of an orchestration; its **history** is a log of [`Event`]s.
//! - A **turn** takes what arrived for an instance, runs its code as far as it goes, and yields one
//!   [`TurnRecord`]: what to commit, whole or not at all.
//! - A [`partition::Partition`] is the state machine that owns the instances of a partition. Inputs
//!   go in, turn records and effects come out. It has no clock, no threads and no chance.
//! - A [`store::Store`] keeps it all.
//!
//! Read `event`, then `turn`, then `partition`.

pub mod codec;
mod event;
mod failure;
mod id;
mod limits;
mod message;
#[doc(hidden)]
pub mod mutation;
mod operation;
pub mod partition;
mod record;
mod request;
mod started;
pub mod store;
mod task;
mod time;
mod trace;
pub mod turn;

pub use event::*;
pub use failure::*;
pub use id::*;
pub use limits::*;
pub use message::*;
pub use operation::*;
pub use partition::EntityMetadata;
pub use record::*;
pub use request::*;
pub use started::*;
pub use task::*;
pub use time::*;
pub use trace::*;
