//! A durable task hub: orchestrations, activities and events as plain async functions.
//!
//! An *orchestration* is an `async fn` that survives its process: what it awaited is kept in a
//! history, and after a crash it goes on where it was. An *activity* is a function that does
//! things; it is run at least once, and its result is taken once. An *event* is what the world
//! tells an orchestration that waits.
//!
//! ```
//! use std::time::Duration;
//! use taskhub::prelude::*;
//!
//! /// The reply to one request, raised by whoever received it.
//! const REPLY: Event<String> = Event::new("weather_response");
//!
//! #[activity(retry = Retry::exponential(3))]
//! async fn publish_request(city: String) -> Result<()> {
//!     # let _ = city;
//!     // .. write a file, post a message, call a service ..
//!     Ok(())
//! }
//!
//! #[orchestration]
//! async fn weather(ctx: Context, city: String) -> Result<String> {
//!     ctx.call(publish_request, city).await?;
//!     ctx.event(REPLY).await
//! }
//!
//! // A unit test: no server, no clock, no runtime.
//! let mut run = Run::of(weather).input("Berlin".to_owned());
//! run.expect(publish_request).fails(Failure::new("Busy", "the disk is busy"));
//! run.advance(Duration::from_secs(1));
//! run.expect(publish_request).returns(());
//! run.raise(REPLY, "rain".to_owned());
//! assert_eq!(run.output(), Ok("rain".to_owned()));
//! ```
//!
//! # The pieces
//!
//! | piece | what it is for |
//! |---|---|
//! | [`orchestration`], [`activity`](macro@activity) | the attributes that make functions durable |
//! | [`Context`] | what an orchestration can do: call, wait, sleep, send |
//! | [`Event`], [`Update`], [`External`] | typed names of events, requests, functions elsewhere |
//! | [`State`], [`ActivityContext`], [`Client`] | what an activity can ask for before its input |
//! | [`entity`](macro@entity), [`EntityContext`] | small durable objects, and what they can do |
//! | [`Retry`], [`Failure`], [`Result`] | what happens when something goes wrong |
//! | [`Client`], [`InstanceRef`], [`EntityRef`] | start, raise, signal, wait, end, list, purge |
//! | [`Remote`] | a hub that a server has, instead of this process |
//! | [`Host`], [`sync_over_async`], [`trigger`] | a process that serves, holds requests, reacts |
//! | [`Endpoint`] | a route that asks for a key and describes itself |
//! | [`Saga`] | undoing what was done |
//! | [`testing`] | tests of orchestrations and of whole programs |
//!
//! # The rules of orchestrations
//!
//! After a crash an orchestration is replayed: run again from its start, with all that it awaited
//! answered from its history. So it must do the same again. Await only what [`Context`] gives,
//! ask it for time and chance, and leave I/O to activities. Every standard combinator is safe:
//! `join!`, `select!`, `try_join_all`, `FuturesUnordered`. The attribute, the engine and the tests
//! each find breaches; [`howto::orchestrations`] has the rules in full.
//!
//! # How to ..
//!
//! - [hold a request open](howto::sync_over_async) until an answer arrives on another channel
//! - [write orchestrations](howto::orchestrations): the rules, combinators, loops, status
//! - [write activities](howto::activities): state, repetition, retries, limits, heartbeats
//! - [write entities](howto::entities): operations, signals, critical sections, reads
//! - [start and steer instances](howto::clients): ids, tags, waits, suspension, lists
//! - [leave the hub to a server](howto::remote), and share it with other programs
//! - [keep it in PostgreSQL](howto::postgres), and [share it among machines](howto::cluster)
//! - [test them](howto::testing): unit tests, a hub in virtual time, chaos, histories of old
//! - [see how it is usually done](howto::patterns): a saga, an approval, a monitor
//! - [serve endpoints](howto::endpoints): keys, an OpenAPI document, limits, metrics
//! - [trigger them](howto::triggers): when a file arrives, when a time comes
//! - [look after a hub](howto::operating), and [watch it](howto::telemetry)

#![warn(missing_docs)]

extern crate self as taskhub;

pub mod activity;
mod attempt;
mod call;
mod client;
mod code;
mod context;
mod data;
mod endpoint;
pub mod entity;
mod failure;
mod gate;
mod gateway;
pub mod handle;
mod history;
mod host;
pub mod howto;
pub mod http;
mod labels;
pub mod management;
pub mod prelude;
mod registry;
mod remote;
mod retry;
mod saga;
pub mod testing;
mod time;
pub mod trigger;
mod turn;
mod update;
mod versions;
mod wait;

pub use activity::{ActivityContext, State};
pub use call::Call;
pub use client::*;
pub use context::{Context, Detached, Sleep};
pub use data::Data;
pub use endpoint::Endpoint;
pub use entity::{CriticalSection, Entity, EntityContext, EntityProxy, Lock, Lockable};
pub use failure::{Failure, Result};
pub use gateway::{Gateway, OnTimeout, sync_over_async};
pub use handle::{Event, External};
pub use history::{History, InvalidHistory};
pub use host::{Cluster, Host, HostBuilder, HostError};
pub use registry::{Registered, Registry, RegistryError};
pub use retry::Retry;
pub use saga::Saga;
pub use taskhub_core::{InstanceId, InvalidInstanceId, Limits, RuntimeStatus, store::Store};
pub use taskhub_engine::store::{Embedded, EmbeddedOptions, MemoryStore};
pub use taskhub_link::{Remote, RemoteError};
pub use taskhub_macros::{activity, entity, orchestration};
pub use taskhub_postgres::{Postgres, PostgresOptions, PostgresStore};
pub use taskhub_server::{LimitsConfig, RetentionConfig, TlsConfig, TracesConfig};
pub use time::Timestamp;
pub use update::{Asked, Update, WaitUpdate};
pub use versions::Versions;
pub use wait::Wait;
