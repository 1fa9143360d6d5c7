//! What most programs use: `use taskhub::prelude::*;`.

pub use axum::routing::{get, post};
pub use futures::future::{join_all, try_join_all};

pub use crate::{
    ActivityContext, Client, Context, Embedded, Entity, EntityContext, Event, External, Failure,
    Filter, Host, HostBuilder, HostError, InstanceRef, OnTimeout, Result, Retry, RuntimeStatus,
    State, Timestamp, Update, activity, entity, handle, orchestration, sync_over_async,
    testing::Run,
    trigger::{Blob, BlobStore, Occurrence},
};
