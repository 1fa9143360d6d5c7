//! One page per task: how to write orchestrations and activities, and how to test them.
//!
//! Every example on these pages is compiled and run with the tests.

#[doc = include_str!("../../../docs/orchestrations.md")]
pub mod orchestrations {}

#[doc = include_str!("../../../docs/activities.md")]
pub mod activities {}

#[doc = include_str!("../../../docs/testing.md")]
pub mod testing {}
