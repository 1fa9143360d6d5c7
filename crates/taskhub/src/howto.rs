//! One page per task: how to write orchestrations, activities and entities, test and trigger them.
//!
//! Every example on these pages is compiled and run with the tests.

#[doc = include_str!("../../../docs/sync-over-async.md")]
pub mod sync_over_async {}

#[doc = include_str!("../../../docs/orchestrations.md")]
pub mod orchestrations {}

#[doc = include_str!("../../../docs/activities.md")]
pub mod activities {}

#[doc = include_str!("../../../docs/entities.md")]
pub mod entities {}

#[doc = include_str!("../../../docs/clients.md")]
pub mod clients {}

#[doc = include_str!("../../../docs/remote.md")]
pub mod remote {}

#[doc = include_str!("../../../docs/cluster.md")]
pub mod cluster {}

#[doc = include_str!("../../../docs/postgres.md")]
pub mod postgres {}

#[doc = include_str!("../../../docs/operating.md")]
pub mod operating {}

#[doc = include_str!("../../../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../../../docs/patterns.md")]
pub mod patterns {}

#[doc = include_str!("../../../docs/endpoints.md")]
pub mod endpoints {}

#[doc = include_str!("../../../docs/telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("../../../docs/triggers.md")]
pub mod triggers {}

/// The first screen of the repository, whose example is compiled with the tests too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub mod readme {}
