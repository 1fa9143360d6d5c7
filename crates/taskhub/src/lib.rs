//! A durable task hub: orchestrations, activities and events as plain async functions.

#![warn(missing_docs)]

extern crate self as taskhub;

pub mod activity;
mod call;
mod client;
mod code;
mod context;
mod data;
mod failure;
pub mod handle;
pub mod prelude;
mod registry;
mod retry;
pub mod testing;
mod time;
pub mod trigger;
mod wait;

pub use activity::{ActivityContext, State};
pub use call::Call;
pub use client::*;
pub use context::{Context, Sleep};
pub use data::Data;
pub use failure::{Failure, Result};
pub use handle::{Event, External};
pub use registry::{Registered, Registry, RegistryError};
pub use retry::Retry;
pub use taskhub_core::{InstanceId, InvalidInstanceId, RuntimeStatus};
pub use taskhub_macros::{activity, orchestration};
pub use time::Timestamp;
pub use wait::Wait;
