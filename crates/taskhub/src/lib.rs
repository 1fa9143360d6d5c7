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
mod gateway;
pub mod handle;
mod host;
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
pub use gateway::{Gateway, OnTimeout, sync_over_async};
pub use handle::{Event, External};
pub use host::{Host, HostBuilder, HostError};
pub use registry::{Registered, Registry, RegistryError};
pub use retry::Retry;
pub use taskhub_core::{InstanceId, InvalidInstanceId, Limits, RuntimeStatus, store::Store};
pub use taskhub_engine::store::{Embedded, EmbeddedOptions, MemoryStore};
pub use taskhub_macros::{activity, orchestration};
pub use time::Timestamp;
pub use wait::Wait;
